"""A workflow that is called in a workflow is a child: a run of its own, whose end is the call's result."""

import asyncio
from typing import Any

import pytest

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import (
    ConfigurationError,
    InvalidInputError,
    OutsideError,
    RunCancelledError,
    SerializationError,
    sleep,
    workflow,
)
from worldflow.engine.history import ChildCompleted, ChildStarted


class Unfit(Exception):
    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@workflow
async def ship(order: str, fast: bool = False) -> int: ...


@workflow
async def parent() -> int:
    return await ship("tea", fast=True)


def test_it_is_a_decision_that_has_all_that_its_start_takes(drive: Drive):
    (started,) = drive(parent).decisions
    assert started == ChildStarted(
        child_id="c1",
        child_run_id="run-1~c1",
        workflow_name="ship",
        version=1,
        input={"order": "tea", "fast": True},
        parent_close="cancel",
    )


def test_its_exception_is_the_calls_of_the_same_type(drive: Drive):
    @workflow
    async def catching() -> str:
        try:
            await ship("tea")
        except Unfit as error:
            await work()
            return error.why
        return ""

    run = drive(catching)
    run.child_fails("c1", Unfit("too wet"))
    run.complete(work)
    assert run.result() == "too wet"


def test_a_child_that_was_cancelled_raises_what_is_no_cancellation_of_the_parent(drive: Drive):
    @workflow
    async def catching() -> str:
        try:
            await ship("tea")
        except RunCancelledError as error:
            return error.run_id
        return ""

    run = drive(catching)
    run.child_fails("c1", RunCancelledError("cancelled", "run-1~c1"))
    assert run.result() == "run-1~c1"


def test_it_tells_its_end_once(drive: Drive):
    @workflow
    async def busy() -> int:
        number = await ship("tea")
        await work()
        return number

    run = drive(busy)
    run.child_completes("c1", 1)
    assert not run.state.accepts(ChildCompleted(child_id="c1", result=1))
    assert not run.state.accepts(ChildCompleted(child_id="c2"))


def test_ids_are_counted_apart_from_steps(drive: Drive):
    @workflow
    async def mixed() -> None:
        await asyncio.gather(work(), ship("a"), work(), ship("b"))

    assert drive(mixed).decided == [
        "StepScheduled s1 work",
        "ChildStarted c1 ship",
        "StepScheduled s2 work",
        "ChildStarted c2 ship",
    ]


# --- cancelling ---


def test_a_cancelled_await_cancels_the_child(drive: Drive):
    @workflow
    async def impatient() -> str:
        try:
            async with asyncio.timeout(60):
                await ship("tea")
        except TimeoutError:
            await work()
        return "late"

    run = drive(impatient)
    run.fire()
    assert run.decided == ["ChildCancelRequested c1", "StepScheduled s1 work"]
    assert run.state.children["c1"].cancel_requested
    run.child_fails("c1", RunCancelledError("cancelled", "run-1~c1"))  # which nobody waits for
    run.complete(work)
    assert run.result() == "late"


def test_the_first_failure_of_a_group_cancels_the_others(drive: Drive):
    @workflow
    async def grouped() -> None:
        async with asyncio.TaskGroup() as group:
            for n in range(3):
                group.create_task(ship(str(n)))

    run = drive(grouped)
    run.child_fails("c2", Unfit("no"))
    assert run.decided == ["ChildCancelRequested c1", "ChildCancelRequested c3", "RunFailed"]


def test_a_cancelled_run_cancels_the_child_that_it_awaits(drive: Drive):
    run = drive(parent)
    run.cancel()
    assert run.decided == ["ChildCancelRequested c1", "RunCancelled"]


def test_a_child_that_is_cancelled_before_it_is_called_is_none(drive: Drive):
    @workflow
    async def early() -> None:
        task = asyncio.ensure_future(ship("tea"))
        task.cancel()
        await sleep(1)

    assert drive(early).decided == ["TimerStarted t1"]


# --- options ---


def test_an_id_of_its_own(drive: Drive):
    @workflow
    async def naming() -> None:
        await ship.options(run_id="shipment-7", parent_close="abandon")("tea")

    (started,) = drive(naming).decisions
    assert isinstance(started, ChildStarted)
    assert (started.child_run_id, started.parent_close) == ("shipment-7", "abandon")


def test_options_are_of_the_call_alone():
    made = ship.options(run_id="a").options(parent_close="terminate")
    assert (made.run_id, made.parent_close, made.name) == ("a", "terminate", "ship")
    assert (ship.run_id, ship.parent_close) == (None, "cancel")


def test_another_policy_is_refused():
    with pytest.raises(ConfigurationError, match="cancel, terminate or abandon"):
        ship.options(parent_close="forget")  # type: ignore[arg-type]


@pytest.mark.parametrize("run_id", ["a b", "hook#token", "generation#x", "x~2", "a/b", "x" * 101, "a\n"])
def test_an_id_that_no_run_may_have_is_refused(run_id: str):
    with pytest.raises((ConfigurationError, InvalidInputError)):
        ship.options(run_id=run_id)


# --- detached ---


def test_a_detached_child_is_started_and_abandoned(drive: Drive):
    @workflow
    async def letting_go() -> list[str]:
        return [ship.start_detached("a"), ship.options(run_id="mine").start_detached("b", fast=True)]

    run = drive(letting_go)
    assert run.decided == ["ChildStarted c1 ship", "ChildStarted c2 ship", "RunCompleted"]
    assert run.result() == ["run-1~c1", "mine"]
    first, second = (child.started for child in run.state.children.values())
    assert (first.parent_close, second.parent_close) == ("abandon", "abandon")
    assert second.input == {"order": "b", "fast": True}


def test_the_end_of_a_detached_child_wakes_nobody(drive: Drive):
    @workflow
    async def letting_go() -> str:
        ship.start_detached("a")
        await work()
        return "done"

    run = drive(letting_go)
    run.child_fails("c1", Unfit("no"))
    assert run.decisions == []
    run.complete(work)
    assert run.result() == "done"


def test_a_detached_child_is_for_workflows():
    with pytest.raises(OutsideError, match="start_workflow"):
        ship.start_detached("a")


# --- arguments and results ---


@pytest.mark.parametrize("args", [(), ("a", True, 3)])
def test_a_call_that_does_not_fit_fails_where_it_is_made(drive: Drive, args: tuple[Any, ...]):
    @workflow
    async def wrong() -> str:
        try:
            await ship(*args)
        except (TypeError, InvalidInputError) as error:
            return type(error).__name__
        return ""

    run = drive(wrong)
    assert run.decided == ["RunCompleted"]


def test_an_argument_that_json_cannot_carry(drive: Drive):
    @workflow
    async def wrong() -> None:
        await ship(object())  # type: ignore[arg-type]

    with pytest.raises((SerializationError, InvalidInputError)):
        drive(wrong).result()


def test_a_recorded_result_that_the_code_cannot_read_blocks(drive: Drive):
    run = drive(parent)
    with pytest.raises(SerializationError, match="no longer matches the annotation"):
        run.child_completes("c1", "many")
