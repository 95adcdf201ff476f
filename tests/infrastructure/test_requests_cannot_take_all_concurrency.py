"""Whoever calls the API, and waits there for answers, leaves the orchestrator and the account what they need."""

from __future__ import annotations

import pytest

from tests.infrastructure.stack import TEMPLATE, RefusedParameters, Stack, target

QUEUE_CONSUMERS = ["OrchestratorFunction", "StepExecutorFunction"]


def reserved(stack: Stack, function: str) -> int | None:
    found: int | None = stack[function].get("ReservedConcurrentExecutions")
    return found


def wanted(stack: Stack, function: str) -> int:
    """What the event sources of a function ask for together."""
    return sum(
        source["ScalingConfig"]["MaximumConcurrency"]
        for source in stack.all("Lambda::EventSourceMapping").values()
        if target(source["FunctionName"]) == function
    )


def test_the_api_is_bounded_unless_told_otherwise(stack: Stack) -> None:
    assert reserved(stack, "SignalFunction") == 50
    assert reserved(Stack(ApiMaximumConcurrency=7), "SignalFunction") == 7


def test_an_account_with_little_concurrency_can_do_without_the_bound() -> None:
    assert reserved(Stack(ApiMaximumConcurrency=0), "SignalFunction") is None


@pytest.mark.parametrize("function", [*QUEUE_CONSUMERS, "CaretakerFunction"])
def test_nothing_else_is_reserved_unless_asked_for(stack: Stack, function: str) -> None:
    assert reserved(stack, function) is None


def test_concurrency_can_be_kept_for_turns_and_steps() -> None:
    stack = Stack(OrchestratorReservedConcurrency=26, StepReservedConcurrency=10)
    for function in QUEUE_CONSUMERS:
        assert reserved(stack, function) == wanted(stack, function)


@pytest.mark.parametrize(
    ("parameter", "function"),
    [("OrchestratorReservedConcurrency", "OrchestratorFunction"), ("StepReservedConcurrency", "StepExecutorFunction")],
)
def test_a_reservation_that_throttles_what_was_received_is_refused(stack: Stack, parameter: str, function: str) -> None:
    for number in range(1, wanted(stack, function)):
        with pytest.raises(RefusedParameters, match=parameter):
            Stack(**{parameter: number})
    Stack(**{parameter: wanted(stack, function)})


def test_the_least_that_is_ever_right_is_known_whatever_the_maxima() -> None:
    least = {"OrchestratorMaximumConcurrency": 2, "StepMaximumConcurrency": 2}
    Stack(**least, OrchestratorReservedConcurrency=10, StepReservedConcurrency=2)
    for parameter, number in {"OrchestratorReservedConcurrency": 9, "StepReservedConcurrency": 1}.items():
        with pytest.raises(RefusedParameters, match=parameter):
            Stack(**least, **{parameter: number})


def test_the_rules_know_the_sum_of_the_event_sources() -> None:
    """Which they spell out, as CloudFormation cannot add."""
    assert "2 * OrchestratorMaximumConcurrency + 6" in str(TEMPLATE["Rules"]["OrchestratorReservation"])
    for maximum in (2, 10, 50):
        stack = Stack(OrchestratorMaximumConcurrency=maximum, StepMaximumConcurrency=maximum)
        assert wanted(stack, "OrchestratorFunction") == 2 * maximum + 6
        assert wanted(stack, "StepExecutorFunction") == maximum
