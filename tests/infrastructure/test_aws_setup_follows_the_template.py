"""What `aws_setup` creates is defined in the template alone."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tools import aws_setup
from worldflow.aws_setup import Infrastructure, Resources, setup_worldflow_infrastructure
from worldflow.stacks import OF_APPLICATIONS_ONLY, OUTPUTS

REGION = "eu-west-1"
FILE = json.loads(aws_setup.PATH.read_text())


@pytest.fixture(scope="module")
def resources() -> Iterator[Resources]:
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        yield setup_worldflow_infrastructure(region=REGION)


def client(service: str) -> Any:
    return boto3.Session(region_name=REGION).client(service)


def test_the_definitions_are_those_of_the_template():
    assert aws_setup.PATH.read_text() == aws_setup.definitions(), "run `make aws-setup`"


def test_every_defined_resource_is_created(resources: Resources):
    policies = {"QueuePolicy", "PayloadBucketPolicy"}
    assert len(Infrastructure(region=REGION).parts) == len(FILE.keys() - policies)


def test_the_rules_of_the_bucket_are_in_the_words_of_s3(resources: Resources):
    rules = client("s3").get_bucket_lifecycle_configuration(Bucket=resources.payload_bucket)["Rules"]
    assert rules == [
        {
            "ID": "forget-what-was-replaced",
            "Filter": {},
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 35},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        },
        {
            "ID": "archived-runs",
            "Filter": {"Prefix": "archive/"},
            "Status": "Enabled",
            "Transitions": [{"StorageClass": "GLACIER_IR", "Days": 0}],
        },
    ]


def test_the_key_of_webhooks_is_as_long_as_defined(resources: Resources):
    key = client("secretsmanager").get_secret_value(SecretId=resources.webhook_secret_arn)["SecretString"]
    generated = FILE["WebhookSecret"]["GenerateSecretString"]
    assert (len(key), key.isalnum()) == (generated["PasswordLength"], generated["ExcludePunctuation"])


def test_the_environment_is_that_of_a_stack(resources: Resources):
    of_a_stack = OUTPUTS.keys() - OF_APPLICATIONS_ONLY.keys() - {"WORLDFLOW_WEBHOOK_URL"}  # which has no functions
    assert resources.environment().keys() == of_a_stack | {"WORLDFLOW_DEAD_LETTER_ARNS"}
