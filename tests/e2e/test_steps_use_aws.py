"""The steps of docs/guide/permissions.md, with the policy that it gives them in `StepPolicies`, and without it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import STEP_POLICY
from worldflow.devtools.stack import Stack

BUCKET = "acme-reports"
INPUT = {"bucket": BUCKET, "currencies": ["EUR"]}


@pytest.fixture(scope="module")
def bucket(stack: Stack) -> Iterator[Any]:
    s3, secrets = stack.aws.client("s3"), stack.aws.client("secretsmanager")
    s3.create_bucket(Bucket=BUCKET)
    secrets.create_secret(Name="my-api-key", SecretString=json.dumps({"api_key": "pk-1234567890"}))
    yield s3
    s3.delete_object(Bucket=BUCKET, Key="rates.json")
    s3.delete_bucket(Bucket=BUCKET)


def test_with_the_policy_steps_read_a_secret_and_write_to_a_bucket(
    bucket: Any, start: Callable[..., str], ended: Callable[..., dict[str, Any]]
) -> None:
    assert ended(start("report_rates", **INPUT))["result"] == "s3://acme-reports/rates.json"
    report = json.load(bucket.get_object(Bucket=BUCKET, Key="rates.json")["Body"])
    assert report == [{"currency": "EUR", "asked_with": "pk-1..."}]


def test_without_it_the_run_fails_with_the_missing_action(
    stack: Stack, bucket: Any, start: Callable[..., str], ended: Callable[..., dict[str, Any]]
) -> None:
    configuration = stack.aws.client("lambda").get_function_configuration(
        FunctionName=stack.outputs["StepExecutorFunctionName"]
    )
    policy = {"RoleName": configuration["Role"].rpartition("/")[2], "PolicyArn": STEP_POLICY}
    iam = stack.aws.client("iam")
    iam.detach_role_policy(**policy)
    try:
        failed = ended(start("report_rates", **INPUT))
    finally:
        iam.attach_role_policy(**policy)
    assert failed["status"] == "failed"
    assert "AccessDenied" in failed["error"]["message"]
    assert "not authorized to perform: secretsmanager:GetSecretValue" in failed["error"]["message"]
