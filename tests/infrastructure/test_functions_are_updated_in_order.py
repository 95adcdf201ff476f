"""A deployment updates the functions from the end of the work to its beginning: what accepts a run of new code comes
after what runs it. CloudFormation updates a resource once all are done that it refers to or depends on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.infrastructure.stack import ROOT, Stack
from tests.support.threads import ministack_service

ORDER = ["StepExecutorFunction", "OrchestratorFunction", "SignalFunction", "CaretakerFunction"]

EVERYTHING = {
    "KmsKeyArn": "arn:aws:kms:eu-west-1:111122223333:key/one",
    "PayloadKeyArns": "arn:aws:kms:eu-west-1:111122223333:key/two",
    "SubnetIds": ["subnet-1"],
    "SecurityGroupIds": ["sg-1"],
    "JwtIssuer": "https://issuer.example",
    "JwtAudience": "shop",
    "AlarmEmail": "ops@example.com",
    "RetentionDays": 30,
    "ArchiveDays": 365,
    "OrchestratorReservedConcurrency": 26,
    "StepReservedConcurrency": 10,
    "WebhookBaseUrl": "https://hooks.example.com",
    "Stage": "prod",
}


def mentions(node: Any) -> Iterator[str]:
    """The names that a resource refers to, some of them with an attribute."""
    match node:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": str(name)}:
            yield name.partition(".")[0]
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::Sub": str(text)}:
            yield from variables(text)
        case {"Fn::Sub": [str(text), dict(values)]}:
            yield from variables(text)
            yield from mentions(list(values.values()))
        case dict():
            for value in node.values():
                yield from mentions(value)
        case list():
            for value in node:
                yield from mentions(value)


def variables(text: str) -> Iterator[str]:
    for part in text.split("${")[1:]:
        yield part.partition("}")[0].partition(".")[0]


def needs(stack: Stack, logical_id: str) -> set[str]:
    """All that CloudFormation has updated before it begins with a resource."""
    found: set[str] = set()
    ahead = [logical_id]
    while ahead:
        resource = stack.resources[ahead.pop()]
        named = resource.get("DependsOn", [])
        direct = {named} if isinstance(named, str) else set(named)
        direct |= set(mentions(resource.get("Properties", {}))) & stack.resources.keys()
        ahead += direct - found
        found |= direct
    return found


@pytest.mark.parametrize("parameters", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_what_accepts_a_run_is_updated_after_what_runs_it(parameters: dict[str, Any]) -> None:
    stack = Stack(**parameters)
    for index, function in enumerate(ORDER):
        assert set(ORDER) & needs(stack, function) == set(ORDER[:index])


def test_no_two_resources_need_each_other(stack: Stack) -> None:
    assert not [logical_id for logical_id in stack.resources if logical_id in needs(stack, logical_id)]


def test_a_release_is_taken_back_that_blocks_runs_or_does_not_start(stack: Stack) -> None:
    guide = (ROOT / "docs/guide/deploying.md").read_text()
    watched = re.findall(r"Arn=\$\(alarm (\w+)\)", guide)
    assert watched == ["BlockedRunsAlarm", "OrchestratorErrorsAlarm", "StepExecutorErrorsAlarm"]
    assert set(watched) <= stack.all("CloudWatch::Alarm").keys()


def test_the_local_aws_updates_them_in_that_order(stack: Stack) -> None:
    engine = ministack_service("cloudformation.engine")
    ordered = engine._topological_sort(stack.resources, {})
    assert [logical_id for logical_id in ordered if logical_id in ORDER] == ORDER
