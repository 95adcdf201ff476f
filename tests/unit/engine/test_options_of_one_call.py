"""`step.options(...)` is the step with other options: for the call that is made of it, and for no other."""

from typing import Any

import pytest

from tests.support.driver import Drive
from worldflow import ConfigurationError, RetryPolicy, step, workflow
from worldflow.engine.history import StepScheduled
from worldflow.engine.workflow.definitions import Step


@step(timeout="1m", retry=RetryPolicy(max_attempts=2, initial_interval="5s", jitter=0))
async def charge_it(amount: int = 0) -> str: ...


@step(guarantee="at_most_once", heartbeat_timeout="30s")
async def pay_it() -> str: ...


def scheduled(drive: Drive, call: Step[..., Any], *, inline_steps: bool = False) -> StepScheduled:
    @workflow(inline_steps=inline_steps)
    async def calls() -> str:
        return await call()

    (decision,) = drive(calls).decisions
    assert isinstance(decision, StepScheduled)
    return decision


def test_each_call_has_its_own(drive: Drive):
    @workflow
    async def two() -> None:
        await charge_it.options(timeout="10s")(1)
        await charge_it(2)

    run = drive(two)
    assert run.state.steps["s1"].scheduled.timeout == 10
    run.complete(charge_it, "paid")
    assert run.state.steps["s2"].scheduled.timeout == 60


def test_what_is_not_given_stays(drive: Drive):
    made = charge_it.options(heartbeat_timeout="3s")
    assert (made.timeout, made.heartbeat_timeout, made.retry) == (60, 3, charge_it.retry)
    assert made.options(timeout="1s").heartbeat_timeout == 3
    assert charge_it.heartbeat_timeout is None


def test_the_policy_of_the_call_decides(drive: Drive):
    @workflow
    async def once() -> str:
        try:
            return await charge_it.options(retry=RetryPolicy(max_attempts=1))()
        except ValueError:
            return "failed"

    run = drive(once)
    run.fail(charge_it, ValueError(), retryable=True)
    assert run.result() == "failed"


def test_it_is_the_same_step_elsewhere(drive: Drive):
    made = charge_it.options(timeout="1s")
    assert (made.name, made.__doc__, made.function) == (charge_it.name, charge_it.__doc__, charge_it.function)
    assert scheduled(drive, made).name == "charge_it"


@pytest.mark.parametrize(
    ("of_workflow", "of_step", "of_call", "is_inline"),
    [
        (False, None, None, None),
        (True, None, None, True),
        (True, False, None, None),
        (False, True, None, True),
        (True, True, False, None),
        (False, False, True, True),
        (True, None, False, None),
    ],
)
def test_inline_is_said_by_the_call_then_by_the_step_then_by_the_workflow(
    drive: Drive, of_workflow: bool, of_step: bool | None, of_call: bool | None, is_inline: bool | None
):
    @step(inline=of_step)
    async def short() -> str: ...

    assert scheduled(drive, short.options(inline=of_call), inline_steps=of_workflow).inline is is_inline


def test_at_most_once_and_heartbeats_are_in_the_history(drive: Drive):
    decision = scheduled(drive, pay_it)
    assert decision.at_most_once is True
    assert decision.heartbeat_timeout == 30


def test_at_most_once_is_not_retried_unless_it_is_asked_for(drive: Drive):
    assert pay_it.retry.max_attempts == 1
    assert (
        step(name="twice", guarantee="at_most_once", retry=RetryPolicy(max_attempts=3))(lambda: None).retry.max_attempts
        == 3
    )
    assert pay_it.options(retry=RetryPolicy(max_attempts=3)).retry.max_attempts == 3
    assert pay_it.options(timeout="1s").guarantee == "at_most_once"


@pytest.mark.parametrize("option", ["timeout", "heartbeat_timeout"])
@pytest.mark.parametrize("value", [0, "0s"])
def test_nothing_takes_no_time_at_all(option: str, value: object):
    with pytest.raises(ConfigurationError, match="greater than zero"):
        charge_it.options(**{option: value})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="greater than zero"):
        step(name="named", **{option: value})(lambda: None)  # type: ignore[call-overload]


def test_a_number_is_no_retry_policy():
    with pytest.raises(ConfigurationError, match="RetryPolicy"):
        charge_it.options(retry=3)  # type: ignore[arg-type]


async def test_outside_a_workflow_it_is_the_function():
    @step
    async def double(n: int) -> int:
        return n * 2

    assert await double.options(timeout="1s", inline=True)(4) == 8
