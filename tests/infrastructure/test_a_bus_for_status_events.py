"""`EventBusName`: who tells the bus what becomes of runs, and nobody where there is none."""

import re

import pytest

from tests.infrastructure.stack import TEMPLATE, Stack, listed
from worldflow.serving.metrics import METRICS

ROLES = ["OrchestratorRole", "StepExecutorRole", "SignalRole", "CaretakerRole"]
FUNCTIONS = ["OrchestratorFunction", "StepExecutorFunction", "SignalFunction", "CaretakerFunction"]


@pytest.fixture(scope="module")
def with_a_bus() -> Stack:
    return Stack(EventBusName="orders")


def rights(stack: Stack, role: str) -> list[tuple[str, object]]:
    return [
        (action, statement["Resource"])
        for statement in stack.statements(role).values()
        for action in listed(statement["Action"])
        if action.startswith("events:")
    ]


def test_the_orchestrator_may_put_events_on_this_bus_and_no_other_function_on_any(with_a_bus: Stack) -> None:
    (right,) = rights(with_a_bus, "OrchestratorRole")
    assert right[0] == "events:PutEvents"
    assert "event-bus/${EventBusName}" in str(right[1])
    assert [right for role in ROLES[1:] for right in rights(with_a_bus, role)] == []


def test_it_is_told_the_name(with_a_bus: Stack) -> None:
    told = [with_a_bus[name]["Environment"]["Variables"].get("WORLDFLOW_EVENT_BUS") for name in FUNCTIONS]
    assert told == ["orders", None, None, None]


def test_an_alarm_says_that_events_are_lost_where_there_is_a_bus(with_a_bus: Stack, stack: Stack) -> None:
    alarm = with_a_bus["StatusEventsLostAlarm"]
    assert alarm["MetricName"] in METRICS
    assert (alarm["Statistic"], alarm["Threshold"], alarm["EvaluationPeriods"]) == ("Sum", 0, 1)
    assert "StatusEventsLostAlarm" not in stack.resources  # it would be paid for


def test_without_a_bus_nobody_has_the_right_or_the_name(stack: Stack) -> None:
    assert [right for role in ROLES for right in rights(stack, role)] == []
    assert not [name for name in FUNCTIONS if "WORLDFLOW_EVENT_BUS" in stack[name]["Environment"]["Variables"]]


@pytest.mark.parametrize(
    ("name", "fits"), [("", True), ("default", True), ("a/b.c-d_1", True), ("arn:aws:events", False)]
)
def test_it_is_a_name_and_no_arn(name: str, fits: bool) -> None:
    assert bool(re.fullmatch(TEMPLATE["Parameters"]["EventBusName"]["AllowedPattern"], name)) is fits
