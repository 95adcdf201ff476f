"""`@step(cancellation="wait")`: a cancelled await lasts until the step's outcome is there."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.support.driver import Drive, Driver
from worldflow import ConfigurationError, RetryPolicy, step, workflow
from worldflow.engine.workflow.execution import Execution


@step(cancellation="wait", retry=RetryPolicy(max_attempts=3, initial_interval="10s", jitter=0))
async def charge_to_its_end(order: str = "") -> str:
    return order


@step
async def refund_to_its_end(receipt: str) -> None: ...


told: list[str] = []


@workflow
async def pays() -> str:
    try:
        receipt = await charge_to_its_end()
        told.append(receipt)
        await asyncio.sleep(60)
    except asyncio.CancelledError as error:
        told.append(repr(error.__cause__))
        raise
    return receipt


@pytest.fixture(autouse=True)
def _fresh() -> None:
    told.clear()


def test_a_result_is_returned_and_the_cancellation_follows(drive: Drive) -> None:
    run = drive(pays)
    run.cancel()
    assert run.decided == ["StepCancelRequested s1"]

    run.complete("s1", "receipt")
    assert run.decided == ["RunCancelled"]
    assert told[-2:] == ["receipt", "None"]


def test_a_step_that_is_cancelled_cancels_the_await(drive: Drive) -> None:
    run = drive(pays)
    run.cancel()
    run.fail("s1", asyncio.CancelledError(), retryable=True)

    assert run.decided == ["RunCancelled"]


def test_a_failure_is_the_cause_and_is_not_retried(drive: Drive) -> None:
    run = drive(pays)
    run.cancel()
    run.fail("s1", ConnectionError("the bank is away"), retryable=True)

    assert run.decided == ["RunCancelled"]
    assert told[-1] == "ConnectionError('the bank is away')"


def test_an_attempt_that_is_due_later_does_not_begin(drive: Drive) -> None:
    run = drive(pays)
    run.fail("s1", ConnectionError("the bank is away"), retryable=True)
    run.cancel()

    assert run.decided == ["StepAbandoned s1", "RunCancelled"]
    assert told[-1] == "ConnectionError('the bank is away')"


def test_the_outcome_of_a_retry_that_has_begun_is_waited_for(drive: Drive) -> None:
    run = drive(pays)
    run.fail("s1", ConnectionError("the bank is away"), retryable=True)
    run.clock += timedelta(seconds=10)
    run.cancel()

    assert run.decided == ["StepCancelRequested s1"]
    run.complete("s1", "receipt")
    assert run.decided == ["RunCancelled"]


@workflow
async def pays_in_time() -> str:
    try:
        async with asyncio.timeout(10):
            return await charge_to_its_end()
    except TimeoutError:
        return "late"


def test_a_result_after_the_time_counts_if_nothing_is_awaited_after_it(drive: Drive) -> None:
    run = drive(pays_in_time)
    run.fire()
    run.complete("s1", "receipt")

    assert run.result() == "receipt"


def test_without_a_result_the_time_is_over(drive: Drive) -> None:
    run = drive(pays_in_time)
    run.fire()
    run.fail("s1", ConnectionError("the bank is away"))

    assert run.result() == "late"


@workflow
async def goes_on_after_its_time() -> str:
    receipt = ""
    try:
        async with asyncio.timeout(10):
            receipt = await charge_to_its_end()
    except TimeoutError:
        pass
    await asyncio.sleep(5)
    async with asyncio.timeout(10):
        return receipt + await charge_to_its_end()


def test_a_cancellation_that_is_over_does_not_follow(drive: Drive) -> None:
    run = drive(goes_on_after_its_time)
    run.fire()
    run.complete("s1", "one ")
    run.fire()
    run.complete("s2", "two")

    assert run.result() == "one two"


@workflow
async def undoes(fails: bool) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(charge_to_its_end(str(number))) for number in range(3)]
    finally:
        for task in tasks:
            if not task.cancelled() and task.exception() is None:
                await refund_to_its_end(task.result())


def test_a_group_waits_for_what_it_cancels(drive: Drive) -> None:
    run = drive(undoes, fails=True)
    run.fail("s2", ValueError("declined"))
    assert run.decided == ["StepCancelRequested s1", "StepCancelRequested s3"]
    run.complete("s1", "first")
    run.fail("s3", asyncio.CancelledError())
    assert run.decided == ["StepScheduled s4 refund_to_its_end"]
    run.complete("s4")

    with pytest.raises(ExceptionGroup):
        run.result()


@workflow
async def changes_its_mind() -> str:
    charging = asyncio.create_task(charge_to_its_end())
    await asyncio.sleep(0)
    charging.cancel()
    await asyncio.wait([charging])
    return "cancelled" if charging.cancelled() else "charged"


def test_a_step_that_was_not_sent_is_not_begun(drive: Drive) -> None:
    run = drive(changes_its_mind)

    assert run.decided == ["StepScheduled s1 charge_to_its_end", "StepAbandoned s1", "RunCompleted"]
    assert run.result() == "cancelled"


@workflow
async def insists() -> str:
    charging = asyncio.create_task(charge_to_its_end())
    await asyncio.sleep(10)
    charging.cancel()
    await asyncio.sleep(10)
    charging.cancel()
    return await charging


def test_a_second_cancellation_asks_for_nothing_more(drive: Drive) -> None:
    run = drive(insists)
    run.fire()
    run.fire()
    assert run.decided == []
    run.complete("s1", "receipt")

    assert run.result() == "receipt"


@workflow
async def shops(how: str) -> str:
    async with asyncio.timeout(10):
        return await charge_to_its_end.options(cancellation="abandon" if how == "abandon" else "try")()


def test_an_option_of_one_call_is_recorded(drive: Drive) -> None:
    assert drive(shops, how="abandon").state.steps["s1"].scheduled.cancellation == "abandon"
    assert drive(shops, how="try").state.steps["s1"].scheduled.cancellation is None


def test_a_replay_goes_by_what_was_recorded() -> None:
    run = Driver(pays)
    run.cancel()
    charge_to_its_end.cancellation = "try"
    try:
        run.complete("s1", "receipt")
    finally:
        charge_to_its_end.cancellation = "wait"

    assert run.decided == ["RunCancelled"]


@workflow
async def pays_for_something_else() -> str:
    return await charge_to_its_end("something else")


def test_a_replay_with_other_arguments_does_too() -> None:
    run = Driver(pays)
    run.cancel()
    charge_to_its_end.cancellation = "try"
    try:
        run.replay(pays_for_something_else).dispose()
    finally:
        charge_to_its_end.cancellation = "wait"


def test_another_word_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"takes 'try', 'abandon' or 'wait', not 'never'"):
        charge_to_its_end.options(cancellation="never")  # type: ignore[arg-type]


numbers: list[int] = []


@workflow
async def numbers_a_future() -> None:
    await charge_to_its_end()
    numbers.append(hash(asyncio.get_running_loop().create_future()))
    await refund_to_its_end("end")


def test_a_replay_that_passes_over_it_numbers_later_futures_as_before(drive: Drive) -> None:
    """Sets of futures are in the order of their numbers."""
    numbers.clear()
    run = drive(numbers_a_future)
    run.complete("s1", "receipt")
    first = numbers[0]
    numbers.clear()

    execution = Execution(run.run_id, run.workflow)
    execution.replay(run.history)
    execution.dispose()

    assert numbers == [first]
