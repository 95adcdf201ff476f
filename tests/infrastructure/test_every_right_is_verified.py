"""Each IAM statement of the template is named by a check of `make verify-aws`, and each that is named exists."""

from tests.infrastructure.stack import Stack
from worldflow.devtools.verify.checks import CHECKS

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1"
OPTIONS = {
    "KmsKeyArn": KEY,
    "PayloadKeyArns": KEY,
    "SubnetIds": ["subnet-1"],
    "SecurityGroupIds": ["sg-1"],
    "EventBusName": "runs",
    "Tracing": "XRay",
}


def test_every_statement_has_a_check() -> None:
    stack = Stack(**OPTIONS)
    statements = {f"{role}.{sid}" for role in stack.all("IAM::Role") for sid in stack.statements(role)}
    # No role has that of step queues, which are added: its rights are those of StepExecutorRole, as
    # test_a_step_queue_is_added.py compares.
    policies = {id: one for id, one in stack.all("IAM::ManagedPolicy").items() if id != "StepQueuePolicy"}
    statements |= {
        f"{id}.{one['Sid']}" for id, policy in policies.items() for one in policy["PolicyDocument"]["Statement"]
    }
    checked = {statement for check in CHECKS for statement in check.statements}
    assert statements - checked == set(), (
        "add each to the statements of a check in devtools/verify/checks that needs it"
    )
    assert checked - statements == set()
