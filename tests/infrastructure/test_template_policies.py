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
    "StepQueue": "step queue",
    "TimerQueue": "timer queue",
    "RunDeadLetterQueue": "dead-letter queues",
    "StepDeadLetterQueue": "dead-letter queues",
    "TimerDeadLetterQueue": "dead-letter queues",
    "PayloadBucket": "payload bucket",
    "WebhookSecret": "webhook key",
    "SchedulerRole": "scheduler's role",
    KEY: "your keys",
}
"""The rows of the page's table by the resources."""

PARTS = {
    "/index/": "its indexes",
    "/start-*": "schedules of delayed starts",
    ":schedule/": "recurring schedules",
    ":execute-api:": "API",
    ":cloudformation:": "stack (`--stack` of the command line)",
}
"""Others, by a part of their ARNs."""


def row(resource: Any) -> str:
    text = str(resource)
    for part, name in PARTS.items():
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
        "GET /hooks/{token}", "POST /hooks/{token}", "POST /hooks/{token}/fail",
        "POST /hooks/{token}/heartbeat",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "action", "keys"),
    [
        ("StartPolicy", "dynamodb:GetItem", "not step#* dead#* idempotency#* schedule#*"),
        ("StartPolicy", "dynamodb:PutItem", "not step#* dead#* idempotency#* schedule#* hook#* pauses#*"),
        ("ReadPolicy", "dynamodb:GetItem", "not step#* dead#* idempotency#*"),
        ("OperatePolicy", "dynamodb:PutItem", "schedule#* pauses#*"),
        ("OperatePolicy", "dynamodb:DeleteItem", "schedule#* pauses#*"),
    ],
)
def test_which_items_of_the_runs_table_a_policy_is_for(stack: Stack, policy: str, action: str, keys: str) -> None:
    assert leading_keys(stack, policy, action, "RunsTable") == keys


@pytest.mark.parametrize(("policy", "keys"), [("StartPolicy", "*#starts"), ("OperatePolicy", "limit#*")])
def test_which_items_of_the_events_table_a_policy_writes(stack: Stack, policy: str, keys: str) -> None:
    assert leading_keys(stack, policy, "dynamodb:PutItem", "EventsTable") == keys


def leading_keys(stack: Stack, policy: str, action: str, table: str) -> str:
    """The partition keys of a table with which a policy allows an action."""
    of_table = [one for one in statements(stack, policy) if one["Resource"] == {"Fn::GetAtt": [table, "Arn"]}]
    (statement,) = (one for one in of_table if action in listed(one["Action"]))
    condition = dict(statement["Condition"])
    assert condition.pop("Null") == {"dynamodb:LeadingKeys": "false"}
    ((operator, found),) = condition.items()
    return " ".join(
        [
            *{"ForAllValues:StringNotLike": ["not"], "ForAllValues:StringLike": []}[operator],
            *found["dynamodb:LeadingKeys"],
        ]
    )


@pytest.mark.parametrize("policy", POLICIES.values())
def test_a_policy_is_below_the_6144_characters_that_iam_allows(policy: str) -> None:
    """With the longest names, all keys, and tables that were restored."""
    keys = ",".join([KEY] * 10)
    stack = Stack(KmsKeyArn=KEY, PayloadKeyArns=keys, RestoredEventsTable="e" * 255, RestoredRunsTable="r" * 255)
    assert len(json.dumps(at_the_longest(stack[policy]["PolicyDocument"]), separators=(",", ":"))) < 6144


LONGEST = {
    "AWS::Partition": 10,
    "AWS::Region": 14,
    "AWS::AccountId": 12,
    "AWS::StackName": 128,
    "AWS::URLSuffix": 16,
    "Api": 10,
    "SchedulerGroup": 64,
    "PayloadBucket.Arn": 80,
    "RestoredEventsTable": 255,
    "RestoredRunsTable": 255,
}
"""Characters of what a name of the template stands for. Of an ARN, with 80 of its resource's name."""


def at_the_longest(value: Any) -> Any:
    """A part of the template with its references as long as they can be."""
    match value:
        case {"Fn::Sub": str(text), **others} if not others:
            return re.sub(r"\$\{([^}]*)\}", lambda name: "x" * LONGEST.get(name[1], 130), text)
        case {"Fn::GetAtt": names, **others} if not others:
            return "x" * LONGEST.get(".".join(names), 130)
        case {"Ref": str(name), **others} if not others:
            return "x" * LONGEST.get(name, 130)
        case {**members}:
            return {name: at_the_longest(member) for name, member in members.items()}
        case [*members]:
            return list(map(at_the_longest, members))
    return value


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
