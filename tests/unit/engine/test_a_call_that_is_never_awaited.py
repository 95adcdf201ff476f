"""A step, child, signal or sleep that is called without `await` fails its run, which says what was called and where."""

import asyncio
import functools
import gc
import inspect
import warnings
from typing import Any

import pytest

from tests.support.driver import Drive
from tests.support.steps import plain_work, work
from worldflow import UnawaitedCallError, continue_as_new, on_update, sleep, step, wait_for_signal, workflow
from worldflow.engine.history import RunCompleted, RunContinued
from worldflow.engine.workflow.definitions import Workflow


@step
def debit(amount: int) -> int:
    return amount


@workflow
async def deliver(parcel: str) -> str:
    return parcel


def line_of(function: Any, text: str) -> str:
    lines, first = inspect.getsourcelines(function.function)
    return f"{__file__}:{first + next(number for number, line in enumerate(lines) if text in line)}"


def test_a_step_is_named_with_its_line(drive: Drive):
    @workflow
    async def careless() -> str:
        debit(10)
        return "done"

    with pytest.raises(UnawaitedCallError) as caught:
        drive(careless).result()
    place = line_of(careless, "debit(10)")
    assert str(caught.value).startswith(f"step 'debit' was called at {place} but never awaited")
    assert "write `await debit(...)`" in str(caught.value)


def test_the_line_is_that_of_the_call_within_a_statement(drive: Drive):
    @workflow
    async def careless() -> str:
        calls = [
            debit(1),
            debit(2),
        ]
        return f"{await calls[0]}"

    run = drive(careless)
    run.complete(debit, 1)
    with pytest.raises(UnawaitedCallError, match=line_of(careless, "debit(2)")):
        run.result()


def test_a_call_in_a_helper_is_named_by_the_helpers_line(drive: Drive):
    def pay() -> None:
        debit(3)

    @workflow
    async def careless() -> None:
        pay()

    with pytest.raises(UnawaitedCallError, match=f"{__file__}:{pay.__code__.co_firstlineno + 1} "):
        drive(careless).result()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: deliver("parcel"), "workflow 'deliver' was called at"),
        (lambda: deliver.options(run_id="other")("parcel"), "workflow 'deliver' was called at"),
        (lambda: debit.options(timeout="1s")(1), "step 'debit' was called at"),
        (lambda: sleep("3d"), r"sleep\(...\) was called at"),
    ],
    ids=["child", "child with options", "step with options", "sleep"],
)
def test_whatever_a_workflow_may_await(drive: Drive, call, said):
    @workflow
    async def careless() -> None:
        call()

    with pytest.raises(UnawaitedCallError, match=f"^{said} {__file__}:"):
        drive(careless).result()


def test_a_signal_that_is_not_awaited_where_it_is_named(drive: Drive):
    @workflow
    async def careless() -> None:
        wait_for_signal("approval")

    with pytest.raises(UnawaitedCallError, match=r"wait_for_signal\('approval'\) was called at"):
        drive(careless).result()


def test_each_call_is_named_up_to_five(drive: Drive):
    @workflow
    async def careless() -> None:
        for number in range(7):
            debit(number)

    with pytest.raises(UnawaitedCallError) as caught:
        drive(careless).result()
    assert "6 more calls were never awaited" in str(caught.value)
    assert str(caught.value).count("step 'debit' was called") == 5


def test_a_run_that_waits_meanwhile_fails_at_its_end(drive: Drive):
    @workflow
    async def careless() -> None:
        debit(10)
        await work("a")

    run = drive(careless)
    gc.collect()
    run.complete(work, "")
    with pytest.raises(UnawaitedCallError):
        run.result()
    run.replay().dispose()


@pytest.mark.parametrize("ends", ["completed", "continued"])
def test_a_history_that_ended_well_before_replays_as_it_was(drive: Drive, ends):
    forgets = False

    @workflow
    async def careless(again: bool = True) -> None:
        if forgets:
            debit(10)
        await work("a")
        if ends == "continued":
            continue_as_new(False)

    run = drive(careless)
    run.complete(work, "")
    assert isinstance(run.state.ended, RunCompleted | RunContinued)
    forgets = True
    run.replay()


def test_a_run_does_not_continue_as_new_either(drive: Drive):
    @workflow
    async def careless() -> None:
        debit(10)
        continue_as_new()

    with pytest.raises(UnawaitedCallError):
        drive(careless).result()


def test_what_a_workflow_raises_is_not_hidden(drive: Drive):
    @workflow
    async def careless() -> None:
        debit(10)
        raise ValueError("no stock")

    with pytest.raises(ValueError, match="no stock"):
        drive(careless).result()


def test_a_cancelled_run_is_cancelled(drive: Drive):
    @workflow
    async def careless() -> None:
        debit(10)
        await work("a")

    run = drive(careless)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        run.result()


def test_a_call_that_is_closed_is_not_wanted(drive: Drive):
    @workflow
    async def picks() -> int:
        first, second = debit(1), debit(2)
        second.close()
        return await first

    run = drive(picks)
    run.complete(debit, 1)
    assert run.result() == 1


def test_the_handler_of_an_update_may_forget_too(drive: Drive):
    @workflow
    async def careless() -> None:
        @on_update("pay")
        async def pay() -> None:
            debit(1)

        await wait_for_signal("done")

    run = drive(careless)
    run.update("pay")
    run.signal("done")
    with pytest.raises(UnawaitedCallError, match="step 'debit'"):
        run.result()


# --- calls that somebody has in hand ---


async def limited(semaphore: asyncio.Semaphore, call: Any) -> Any:
    async with semaphore:
        return await call


def test_a_task_that_is_not_over_at_the_end_has_its_call(drive: Drive):
    @workflow
    async def starts() -> str:
        tasks = [asyncio.create_task(debit(1)), asyncio.create_task(limited(asyncio.Semaphore(1), debit(2)))]
        return f"{len(tasks)}"

    assert drive(starts).result() == "2"


def test_a_task_that_is_cancelled_while_it_waits_to_begin(drive: Drive):
    @workflow
    async def first_of_two() -> int:
        semaphore = asyncio.Semaphore(1)
        tasks = [asyncio.create_task(limited(semaphore, debit(number))) for number in (1, 2)]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        semaphore._value = 0
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        return done.pop().result()

    run = drive(first_of_two)
    run.complete(debit, 1)
    assert run.result() == 1


def test_a_group_whose_tasks_are_cancelled_before_they_begin(drive: Drive):
    @workflow
    async def gives_up() -> str:
        semaphore = asyncio.Semaphore(0)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(limited(semaphore, debit(1)))
                group.create_task(limited(semaphore, debit(2)))
                await work("a")
        except ExceptionGroup:
            return "gave up"
        return "did not"

    run = drive(gives_up)
    run.fail(work, RuntimeError("broken"), retryable=False)
    assert run.result() == "gave up"


def test_a_variable_that_is_given_another_call(drive: Drive):
    @workflow
    async def careless() -> int:
        receipt = debit(1)
        receipt = debit(2)
        return await receipt

    run = drive(careless)
    run.complete(debit, 2)
    with pytest.raises(UnawaitedCallError, match=line_of(careless, "debit(1)")):
        run.result()


# --- calls that were given up, and not forgotten ---


async def _at_a_deadline() -> str:
    calls = [debit(1), debit(2)]
    try:
        async with asyncio.timeout(60):
            await wait_for_signal("never")
            await asyncio.gather(*calls)
    except TimeoutError:
        return "given up"
    return ""


async def _waiting_with_a_timeout_of_its_own() -> str:
    async def limited_for_a_while(semaphore: asyncio.Semaphore, call: Any) -> Any:
        async with asyncio.timeout(5), semaphore:
            return await call

    semaphore = asyncio.Semaphore(0)
    await asyncio.gather(*[limited_for_a_while(semaphore, debit(n)) for n in range(2)], return_exceptions=True)
    return "given up"


async def _in_wait_for() -> str:
    try:
        await asyncio.wait_for(limited(asyncio.Semaphore(0), debit(1)), 5)
    except TimeoutError:
        return "given up"
    return ""


async def _held_by_an_object() -> str:
    class Job:
        def __init__(self, call: Any) -> None:
            self.call = {"calls": [functools.partial(lambda call: call, call)]}

        async def run(self) -> None:
            await wait_for_signal("never")

    task = asyncio.create_task(Job(debit(1)).run())
    await sleep("1s")
    task.cancel()
    return "given up"


async def _behind_a_circuit_breaker() -> str:
    async def guarded(call: Any) -> Any:
        raise LookupError("open")

    await asyncio.gather(guarded(debit(1)), guarded(debit(2)), return_exceptions=True)
    return "given up"


async def _when_a_call_before_it_failed() -> str:
    calls = [plain_work(), debit(2)]
    try:
        for call in calls:
            await call
    except LookupError:
        return "given up"
    return ""


async def _of_a_signal() -> str:
    approvals = wait_for_signal("approval")
    return "given up" if approvals else ""


GIVEN_UP = (
    _at_a_deadline,
    _waiting_with_a_timeout_of_its_own,
    _in_wait_for,
    _held_by_an_object,
    _behind_a_circuit_breaker,
    _when_a_call_before_it_failed,
    _of_a_signal,
)


@pytest.mark.parametrize("giving_up", GIVEN_UP, ids=lambda function: function.__name__.strip("_"))
def test_calls_that_are_given_up(drive: Drive, giving_up: Any):
    run = drive(Workflow(giving_up, "gives_up"))
    while not run.ended:
        if run.open_steps(plain_work):
            run.fail(plain_work, LookupError("no"))
        else:
            run.fire()

    assert run.result() == "given up"


# --- used in place of the result ---


def test_a_call_that_is_returned(drive: Drive):
    @workflow
    async def careless() -> int:
        return debit(1)

    with pytest.raises(UnawaitedCallError) as caught:
        drive(careless).result()
    assert "the workflow returned the call instead of its result: write `return await debit(...)`" in str(caught.value)


def test_calls_in_a_list_that_is_returned(drive: Drive):
    @workflow
    async def careless() -> list[int]:
        return [debit(1), debit(2)]

    with pytest.raises(UnawaitedCallError, match="step 'debit' was called at"):
        drive(careless).result()


def test_a_call_whose_results_attribute_is_read(drive: Drive):
    @workflow
    async def careless() -> int:
        return debit(1).amount

    with pytest.raises(
        AttributeError, match=r"^step 'debit' was called at .* but not awaited: the call has no attribute 'amount'"
    ):
        drive(careless).result()


def test_a_call_that_is_another_steps_argument(drive: Drive):
    @workflow
    async def careless() -> int:
        return await debit(debit(1))

    with pytest.raises(UnawaitedCallError, match=r"debit\(amount=\.\.\.\) was passed the call instead of its result"):
        drive(careless).result()


def test_no_warning_when_a_live_execution_is_let_go(drive: Drive):
    @workflow
    async def careless() -> None:
        calls = [debit(1), deliver("parcel")]
        await work(str(len(calls)))

    run = drive(careless)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run.live.dispose()
        gc.collect()
    assert caught == []
