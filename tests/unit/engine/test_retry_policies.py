"""What a retry policy says of an exception is asked once, in the engine, of the exception as the workflow sees it."""

import asyncio
import logging
from datetime import timedelta

import pytest

from tests.support.driver import Drive, Driver
from worldflow import FatalError, RetryPolicy, StepTimeoutError, step, workflow
from worldflow.engine.history import Failure, StepFailed
from worldflow.engine.history.failures import encode_exception


class Refused(ValueError):
    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class Unspeakable(ValueError):
    """Cannot be rebuilt from what JSON carries of it."""

    def __init__(self, thing: object) -> None:
        super().__init__(thing)


@step
async def persist() -> str: ...


@workflow
async def persisting() -> str:
    try:
        return await persist.options(retry=policies[-1])()
    except Exception as error:
        return f"{type(error).__name__}"


policies: list[RetryPolicy] = []


def tried(drive: Drive, policy: RetryPolicy) -> Driver:
    policies.append(policy)
    return drive(persisting)


def is_retried(run: Driver) -> bool:
    return run.decided == ["StepRetryScheduled"]


# --- how long ---


def test_no_attempt_begins_after_the_total_time(drive: Drive):
    run = tried(drive, RetryPolicy(max_attempts=100, initial_interval="10s", backoff=1, jitter=0, total_time="25s"))
    run.fail(persist, ValueError(), retryable=True)
    assert is_retried(run)
    run.clock += timedelta(seconds=10)
    run.fail(persist, ValueError(), retryable=True)
    assert is_retried(run)
    run.clock += timedelta(seconds=10)
    run.fail(persist, ValueError(), retryable=True)
    assert run.result() == "ValueError"


def test_an_attempt_may_begin_at_the_very_end_of_the_total_time(drive: Drive):
    run = tried(drive, RetryPolicy(initial_interval="10s", jitter=0, total_time="10s"))
    run.fail(persist, ValueError(), retryable=True)
    assert is_retried(run)


def test_the_total_time_counts_the_attempts_themselves(drive: Drive):
    run = tried(drive, RetryPolicy(initial_interval="1s", jitter=0, total_time="1m"))
    run.clock += timedelta(minutes=1)
    run.fail(persist, ValueError(), retryable=True)
    assert run.result() == "ValueError"


def test_the_total_time_also_bounds_the_interval_that_a_step_asks_for(drive: Drive):
    run = tried(drive, RetryPolicy(total_time="1m"))
    run.fail(persist, ValueError(), retryable=True, retry_after=61)
    assert run.result() == "ValueError"


def test_the_total_time_counts_from_the_call_and_not_from_the_run(drive: Drive):
    @workflow
    async def late() -> str:
        await asyncio.sleep(3600)
        return await persisting.function()

    policies.append(RetryPolicy(initial_interval="1s", jitter=0, total_time="1m"))
    run = drive(late)
    run.fire()
    run.fail(persist, ValueError(), retryable=True)
    assert is_retried(run)


@pytest.mark.parametrize("total_time", ["1x", -1, "soon"])
def test_a_total_time_that_is_no_duration_is_refused(total_time: object):
    with pytest.raises(ValueError, match="duration"):
        RetryPolicy(total_time=total_time)  # type: ignore[arg-type]


# --- retry_if ---


def test_retry_if_is_asked_of_the_exception_itself(drive: Drive):
    seen: list[BaseException] = []

    def is_busy(error: BaseException) -> bool:
        seen.append(error)
        return isinstance(error, Refused) and error.code == 503

    run = tried(drive, RetryPolicy(retry_if=is_busy))
    run.fail(persist, Refused("busy", 503), retryable=True)
    assert is_retried(run)
    run.fail(persist, Refused("no", 403), retryable=True)
    assert run.result() == "Refused"
    assert [(type(error), error.code) for error in seen[:1]] == [(Refused, 503)]  # type: ignore[attr-defined]


def test_what_retry_if_raises_is_a_no(drive: Drive, caplog: pytest.LogCaptureFixture):
    def confused(error: BaseException) -> bool:
        raise AttributeError("status")

    run = tried(drive, RetryPolicy(retry_if=confused))
    with caplog.at_level(logging.ERROR, "worldflow"):
        run.fail(persist, ValueError(), retryable=True)
    assert run.result() == "ValueError"
    assert "retry_if raised" in caplog.text


def test_retry_if_is_not_asked_when_the_attempts_are_used_up(drive: Drive):
    asked: list[BaseException] = []
    run = tried(drive, RetryPolicy(max_attempts=1, retry_if=lambda error: asked.append(error) is None))
    run.fail(persist, ValueError(), retryable=True)
    assert run.ended
    assert asked == []


def test_retry_if_is_not_asked_on_replay(drive: Drive):
    asked: list[BaseException] = []
    run = tried(drive, RetryPolicy(retry_if=lambda error: asked.append(error) is None))
    run.fail(persist, ValueError(), retryable=True)
    asked.clear()
    run.replay().dispose()
    assert asked == []


def test_a_fatal_error_is_never_tried_again(drive: Drive):
    asked: list[BaseException] = []
    run = tried(drive, RetryPolicy(retry_if=lambda error: asked.append(error) is None))
    run.fail(persist, FatalError("no"), retryable=True)
    assert run.result() == "FatalError"
    assert asked == []


# --- non_retryable ---


@pytest.mark.parametrize(
    "named",
    [
        Refused,
        ValueError,
        Exception,
        "Refused",
        "ValueError",
        "builtins.ValueError",
        f"{__name__}.Refused",
        f"{__name__}:Refused",
    ],
)
def test_what_is_not_retryable_is_known_by_its_type_its_bases_and_their_names(drive: Drive, named: type | str):
    run = tried(drive, RetryPolicy(non_retryable=(KeyError, named)))
    run.fail(persist, Refused("no"), retryable=True)
    assert run.result() == "Refused"


@pytest.mark.parametrize("named", [KeyError, "KeyError", "Error", "efused", "Refused2", TypeError, "other.Refused"])
def test_other_exceptions_are_tried_again(drive: Drive, named: type | str):
    run = tried(drive, RetryPolicy(non_retryable=(named,)))
    run.fail(persist, Refused("busy"), retryable=True)
    assert is_retried(run)


@pytest.mark.parametrize("named", [Unspeakable, "Unspeakable", ValueError, "ValueError"])
def test_an_exception_that_cannot_be_rebuilt_is_still_known_by_its_names(drive: Drive, named: type | str):
    run = tried(drive, RetryPolicy(non_retryable=(named,)))
    run.fail(persist, Unspeakable(object()), retryable=True)
    assert run.result() == "StepError"


def test_an_exception_of_code_that_is_not_here_is_known_by_the_names_it_came_with(drive: Drive):
    run = tried(drive, RetryPolicy(non_retryable=("billing.errors.Declined",)))
    failure = Failure(type="billing.errors:CardDeclined", bases=["billing.errors:Declined"], message="no")
    run.feed(StepFailed(step_id="s1", error=failure))
    assert run.result() == "StepError"


def test_a_timeout_may_be_named_as_a_timeout(drive: Drive):
    run = tried(drive, RetryPolicy(non_retryable=(TimeoutError,)))
    run.feed(StepFailed(step_id="s1", error=encode_exception(StepTimeoutError("slow"))))
    assert run.result() == "StepTimeoutError"


def test_a_timeout_is_tried_again_unless_it_is_named(drive: Drive):
    run = tried(drive, RetryPolicy())
    run.feed(StepFailed(step_id="s1", error=encode_exception(StepTimeoutError("slow"))))
    assert is_retried(run)
