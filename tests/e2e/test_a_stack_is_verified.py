"""`make verify-aws` on the local stack: checks pass, what only AWS decides is not decided, and nothing is left."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import boto3

from worldflow.devtools.stack import Stack
from worldflow.devtools.verify.checks import CHECKS, caretaker
from worldflow.devtools.verify.outcome import Outcome, run_checks
from worldflow.devtools.verify.target import Target

SKIPPED = {
    "Your KMS key",
    "Your subnets",
    "Payload codec (KMS)",
    "Bearer tokens",
    "Status events",
    "Traces",
    "The trace of a run",
    "A timer of 15.5 minutes",
}
"""For which the stack has no parameter, or the test no time."""


def test_every_check_passes_or_says_why_it_cannot(stack: Stack, application: dict[str, str]) -> None:
    command = [sys.executable, "-m", "worldflow.devtools.verify", stack.name, "--no-deploy", "--yes"]
    done = subprocess.run(command, env=application, capture_output=True, text=True, check=False, timeout=200)
    rows = [row for row in done.stdout.split("├") if Outcome.FAILED in row]
    assert done.returncode == 0, "".join([*rows, done.stderr])
    outcomes = {name: [line for line in done.stdout.splitlines() if line.endswith(f" {name}")] for name in names()}
    undecided = {one.name for one in CHECKS if one.only_on_aws} - SKIPPED
    assert {name for name, (line, *_) in outcomes.items() if line.startswith(Outcome.SKIPPED)} == SKIPPED
    assert {name for name, (line, *_) in outcomes.items() if line.startswith(Outcome.UNDECIDED)} == undecided
    left = stack.call("GET", "/runs?limit=100").body["runs"]
    assert [run["run_id"] for run in left if run["run_id"].startswith("verify-")] == []
    schedules = stack.aws.client("scheduler").list_schedules()["Schedules"]
    assert [schedule["Name"] for schedule in schedules if "verify-" in schedule["Name"]] == []


def names() -> list[str]:
    return [one.name for one in CHECKS]


def test_a_right_that_the_caretaker_lacks_is_found(stack: Stack, application: dict[str, str]) -> None:
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    target = Target(stack.name, session=session)
    with without(target, "dynamodb:DeleteItem", statement="Runs"):
        (result,) = run_checks(target, [caretaker.archive])
    assert result.outcome is Outcome.FAILED
    assert "could not archive 2 runs" in result.detail
    assert result.places == [f"log group {target.function('Caretaker')['LoggingConfig']['LogGroup']}"]
    (again,) = run_checks(target, [caretaker.archive])  # which archives the others, too
    assert again.outcome is Outcome.PASSED


@contextmanager
def without(target: Target, action: str, *, statement: str) -> Iterator[None]:
    iam, role = target.client("iam"), target.function("Caretaker")["Role"].rpartition("/")[2]
    policy = {"RoleName": role, "PolicyName": "Caretaker"}
    before = iam.get_role_policy(**policy)["PolicyDocument"]
    changed = json.loads(json.dumps(before))
    next(one for one in changed["Statement"] if one.get("Sid") == statement)["Action"].remove(action)
    iam.put_role_policy(**policy, PolicyDocument=json.dumps(changed))
    try:
        yield
    finally:
        iam.put_role_policy(**policy, PolicyDocument=json.dumps(before))
