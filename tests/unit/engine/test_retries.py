"""When a failed step is tried again is decided once, recorded, and followed on every replay."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.driver import Drive
from worldflow import FatalError, RetryableError, RetryPolicy, sleep, step, workflow
from worldflow.engine.history import StepCompleted
from worldflow.engine.workflow.retry import retry_after


@step(retry=RetryPolicy(max_attempts=3, initial_interval="10s", jitter=0))
async def unsteady() -> str: ...


@workflow
async def trying() -> str:
    try:
        return await unsteady()
    except ValueError as error:
        return f"failed: {error}"


def interval(run) -> timedelta:
    due = run.state.steps["s1"].due
    assert due is not None
    return due - run.clock


def test_it_is_tried_again_until_it_succeeds(drive: Drive):
    run = drive(trying)
    run.fail(unsteady, ValueError("once"), retryable=True)
    assert run.decided == ["StepRetryScheduled"]
    assert interval(run) == timedelta(seconds=10)
    run.fail(unsteady, ValueError("twice"), retryable=True)
    assert interval(run) == timedelta(seconds=20)
    run.complete(unsteady, "at last")
    assert run.result() == "at last"


def test_the_last_attempt_raises_its_own_error(drive: Drive):
    run = drive(trying)
    for n in (1, 2, 3):
        run.fail(unsteady, ValueError(f"attempt {n}"), retryable=True)
    assert run.result() == "failed: attempt 3"


def test_what_is_not_retryable_fails_at_once(drive: Drive):
    run = drive(trying)
    run.fail(unsteady, ValueError("never"), retryable=False)
    assert run.result() == "failed: never"


def test_the_interval_that_the_step_asked_for(drive: Drive):
    run = drive(trying)
    run.fail(unsteady, ValueError(), retryable=True, retry_after=3600)
    assert interval(run) == timedelta(hours=1)
    run.fail(unsteady, ValueError(), retryable=True, retry_after=0)
    assert interval(run) == timedelta(0)


def test_an_interval_that_ends_after_the_calendar_harms_no_run(drive: Drive):
    run = drive(trying)
    run.fail(unsteady, ValueError("x"), retryable=True, retry_after=1e15)
    assert run.decided in (["StepRetryScheduled"], ["RunFailed"], ["RunCompleted"])


def test_an_outcome_of_an_earlier_attempt_is_not_new(drive: Drive):
    run = drive(trying)
    run.fail(unsteady, ValueError(), retryable=True)
    assert not run.state.accepts(StepCompleted(step_id="s1", attempt=1))
    assert not run.state.accepts(StepCompleted(step_id="s1", attempt=3))
    assert run.state.accepts(StepCompleted(step_id="s1", attempt=2))


@pytest.mark.parametrize("attempts", [1, 2, 100])
def test_a_policy_may_change_under_a_run(drive: Drive, attempts: int):
    run = drive(trying)
    run.fail(unsteady, ValueError("1"), retryable=True)
    run.fail(unsteady, ValueError("2"), retryable=True)
    run.fail(unsteady, ValueError("3"), retryable=True)
    original = unsteady.retry
    try:
        unsteady.retry = RetryPolicy(max_attempts=attempts, initial_interval="1d")
        run.replay().dispose()
    finally:
        unsteady.retry = original


def test_a_step_that_waits_for_its_next_attempt_can_be_abandoned(drive: Drive):
    @workflow
    async def impatient() -> str:
        try:
            async with asyncio.timeout(5):
                return await unsteady()
        except TimeoutError:
            await sleep(60)
            return "gave up"

    run = drive(impatient)
    run.fail(unsteady, ValueError(), retryable=True)
    run.fire()
    assert run.decided == ["StepAbandoned s1", "TimerStarted t2"]
    assert run.open_steps() == []
    run.fire()
    assert run.result() == "gave up"


# --- the policy ---


@given(
    attempt=st.integers(1, 10_000),
    chance=st.floats(0, 1),
    jitter=st.floats(0, 1),
    backoff=st.floats(1, 10),
    initial=st.floats(0, 1000),
    longest=st.floats(0, 100_000),
)
def test_an_interval_is_within_its_bounds(attempt, chance, jitter, backoff, initial, longest):
    policy = RetryPolicy(initial_interval=initial, max_interval=longest, backoff=backoff, jitter=jitter)
    full = RetryPolicy(initial_interval=initial, max_interval=longest, backoff=backoff, jitter=0).delay(attempt, chance)
    assert full <= longest
    assert full * (1 - jitter) - 1e-6 <= policy.delay(attempt, chance) <= full + 1e-6


def test_the_default_is_three_retries_after_about_1_2_and_4_seconds():
    policy = RetryPolicy()
    assert policy.max_attempts == 4
    assert [policy.delay(n, 0) for n in (1, 2, 3)] == [1, 2, 4]
    assert [policy.delay(n, 1) for n in (1, 2, 3)] == [0.5, 1, 2]


def test_intervals_grow_to_the_longest():
    policy = RetryPolicy(initial_interval=1, backoff=10, max_interval="1m")
    assert [policy.delay(n, 0) for n in (1, 2, 3, 4, 5000)] == [1, 10, 60, 60, 60]


class ShopError(Exception):
    pass


class Declined(ShopError):
    pass


@pytest.mark.parametrize(
    ("listed", "error", "retries"),
    [
        ((), ValueError(), True),
        ((), FatalError(), False),
        ((), RetryableError(), True),
        ((ShopError,), Declined(), False),
        ((ShopError,), ValueError(), True),
        (("ShopError",), Declined(), False),
        (("Declined",), ShopError(), True),
        ((f"{__name__}.Declined",), Declined(), False),
        (("builtins.KeyError", "OSError"), KeyError(), False),
        (("OSError",), TimeoutError(), False),
        (("LookupError",), ValueError(), True),
    ],
)
def test_what_is_tried_again_at_all(listed, error, retries):
    assert RetryPolicy(non_retryable=listed).retries(error) is retries


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (RetryableError(retry_after="1m"), 60),
        (RetryableError(retry_after=timedelta(hours=1)), 3600),
        (RetryableError(retry_after=0), 0),
        (RetryableError(), None),
        (RetryableError(retry_after="soon"), None),
        (RetryableError(retry_after=-1), None),
        (ValueError(), None),
    ],
)
def test_what_a_retryable_error_asks_for(error, seconds):
    assert retry_after(error) == seconds


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"max_attempts": 0}, "max_attempts must be at least 1"),
        ({"backoff": 0.5}, "backoff must be at least 1, not 0.5"),
        ({"jitter": 2}, "jitter must be between 0"),
        ({"jitter": -0.1}, "jitter must be between 0"),
        ({"initial_interval": "soon"}, "'soon' is not a duration"),
        ({"max_interval": -1}, "-1 is not a duration"),
    ],
)
def test_a_policy_that_makes_no_sense(wrong, why):
    with pytest.raises(ValueError, match=why):
        RetryPolicy(**wrong)


def test_the_jitter_of_an_interval_is_recorded(drive: Drive):
    @step(retry=RetryPolicy(initial_interval="10s", jitter=1))
    async def jittery() -> str: ...

    @workflow
    async def once() -> str:
        return await jittery()

    run = drive(once)
    run.fail("s1", ValueError(), retryable=True)
    assert interval(run) == timedelta(seconds=5)
    run.jitter = 0.9
    run.replay().dispose()
    assert interval(run) == timedelta(seconds=5)
