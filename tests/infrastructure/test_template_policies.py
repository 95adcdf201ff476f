"""The managed policies of applications, and what steps may be given: as docs/guide/permissions.md has them."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.infrastructure.stack import ROOT, Properties, RefusedParameters, Stack, listed, target

PAGE = (ROOT / "docs/guide/permissions.md").read_text()
POLICIES = {"start": "StartPolicy", "read": "ReadPolicy", "operate": "OperatePolicy"}
KEY = "arn:aws:kms:eu-central-1:111122223333:key/12345678-1234-1234-1234-123456789012"
STEPS = "arn:aws:iam::111122223333:policy/steps"

ROWS = {
    "EventsTable": "events table",
    "RunsTable": "runs table",
    "RunQueue": "run queue",
    "StepQueue": "step and timer queue",
    "TimerQueue": "step and timer queue",
    "RunDeadLetterQueue": "dead-letter queues",
    "StepDeadLetterQueue": "dead-letter queues",
    "TimerDeadLetterQueue": "dead-letter queues",
    "PayloadBucket": "payload bucket",
    "WebhookSecret": "webhook key",
    "SchedulerRole": "scheduler's role",
    KEY: "your keys",
}
"""The rows of the page's table by the resources."""


def row(resource: Any) -> str:
    text = str(resource)
    for part, name in {"/index/": "its indexes", ":schedule/": "recurring schedules", ":execute-api:": "API",
                       ":cloudformation:": "stack (`--stack` of the command line)"}.items():  # fmt: skip
        if part in text:
            return name
    return ROWS[target(resource)]


def statements(stack: Stack, policy: str) -> list[Properties]:
    found: list[Properties] = stack[policy]["PolicyDocument"]["Statement"]
    return found


@pytest.fixture(scope="module")
def with_keys() -> Stack:
    return Stack(KmsKeyArn=KEY, PayloadKeyArns=KEY)


@pytest.mark.parametrize("use", POLICIES)
def test_the_page_has_the_actions_of_each_policy(with_keys: Stack, use: str) -> None:
    table = PAGE.partition("| resource | start | read | operate |\n")[2].partition("\n\n")[0]
    column = 2 + list(POLICIES).index(use)
    documented = {
        cells[1].strip(): set(re.findall(r"`(\w[\w-]*:\w+)`", cells[column]))
        for cells in (line.split("|") for line in table.splitlines()[1:])
    }
    allowed: dict[str, set[str]] = {name: set() for name in documented}
    for statement in statements(with_keys, POLICIES[use]):
        assert statement["Effect"] == "Allow"
        for resource in listed(statement["Resource"]):
            allowed[row(resource)] |= set(listed(statement["Action"]))
    assert allowed == documented
    assert not [action for actions in allowed.values() for action in actions if "*" in action]


def test_an_application_may_call_its_routes_and_no_other(stack: Stack) -> None:
    """IAM's * takes slashes too, and an id is what its caller chooses, such as `hooks`."""
    (call,) = (one for one in statements(stack, "StartPolicy") if one["Action"] == "execute-api:Invoke")
    patterns = [str(resource).partition("$default/")[2].rstrip("'}") for resource in call["Resource"]]
    allowed = {
        f"{method.upper()} {path}"
        for path, methods in json.loads((ROOT / "docs/openapi.json").read_text())["paths"].items()
        for method in methods
        if any(fnmatchcase(method.upper() + path.replace("{run_id}", "hooks"), pattern) for pattern in patterns)
    }
    assert allowed == {
        "POST /runs", "GET /runs/{run_id}", "GET /runs/{run_id}/events", "GET /runs/{run_id}/queries/{name}",
        "GET /runs/{run_id}/streams", "GET /runs/{run_id}/streams/{name}",
        "POST /runs/{run_id}/cancel", "POST /runs/{run_id}/signals/{name}", "POST /runs/{run_id}/updates/{name}",
        "GET /hooks/{token}", "POST /hooks/{token}",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "action", "keys"),
    [
        ("StartPolicy", "dynamodb:GetItem", "not step#* dead#* idempotency#* schedule#*"),
        ("StartPolicy", "dynamodb:PutItem", "not step#* dead#* idempotency#* schedule#* hook#*"),
        ("ReadPolicy", "dynamodb:GetItem", "not step#* dead#* idempotency#*"),
        ("OperatePolicy", "dynamodb:PutItem", "schedule#*"),
        ("OperatePolicy", "dynamodb:DeleteItem", "schedule#*"),
    ],
)
def test_which_items_of_the_runs_table_a_policy_is_for(stack: Stack, policy: str, action: str, keys: str) -> None:
    (statement,) = (one for one in statements(stack, policy) if action in listed(one["Action"]))
    condition = dict(statement["Condition"])
    assert condition.pop("Null") == {"dynamodb:LeadingKeys": "false"}
    prefix = "not " if keys.startswith("not ") else ""
    operator = "ForAllValues:StringNotLike" if prefix else "ForAllValues:StringLike"
    assert condition == {operator: {"dynamodb:LeadingKeys": keys.removeprefix(prefix).split()}}


@pytest.mark.parametrize("policy", POLICIES.values())
def test_a_policy_is_below_the_6144_characters_that_iam_allows(policy: str) -> None:
    """With the longest names, all keys, and tables that were restored."""
    keys = ",".join([KEY] * 10)
    stack = Stack(KmsKeyArn=KEY, PayloadKeyArns=keys, RestoredEventsTable="e" * 255, RestoredRunsTable="r" * 255)
    text = json.dumps(stack[policy]["PolicyDocument"], separators=(",", ":"))
    text = re.sub(r'\{"Fn::(?:Sub|GetAtt)":("[^"]*"|\[[^]]*\])\}', lambda match: f'"{match[1]:<60}"', text)
    assert len(re.sub(r"\$\{[^}]*\}", "x" * 40, text)) < 6144


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, None),
        ({"StepPolicies": f"{STEPS},{STEPS}-2"}, [STEPS, f"{STEPS}-2"]),
        ({"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}, [{"Ref": "NetworkPolicy"}]),
        (
            {"StepPolicies": STEPS, "SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
            {"Fn::Split": [",", {"Fn::Sub": "${NetworkPolicy},${StepPolicies}"}]},
        ),
    ],
)
def test_steps_have_the_policies_that_they_are_given(parameters: dict[str, Any], expected: Any) -> None:
    stack = Stack(**parameters)
    assert stack["StepExecutorRole"].get("ManagedPolicyArns") == expected
    for role in ("OrchestratorRole", "SignalRole", "CaretakerRole"):
        assert STEPS not in str(stack[role])


@pytest.mark.parametrize("wrong", ["arn:aws:iam::111122223333:role/x", "steps", f"{STEPS},", ",".join([STEPS] * 10)])
def test_what_is_not_a_managed_policy_is_refused(wrong: str) -> None:
    with pytest.raises(RefusedParameters, match="StepPolicies"):
        Stack(StepPolicies=wrong)


def test_a_policy_can_be_added_at_the_mark() -> None:
    (added,) = re.findall(r"(?ms)^```yaml\n(.*?)^```$", PAGE)
    mark = added.splitlines(keepends=True)[0]
    template = (ROOT / "template.yaml").read_text()
    assert template.count(mark) == 1
    resources = yaml_parse(template.replace(mark, added))["Resources"]
    names = [policy["PolicyName"] for policy in resources["StepExecutorRole"]["Properties"]["Policies"]]
    assert names == ["StepExecutor", "Reports"]
