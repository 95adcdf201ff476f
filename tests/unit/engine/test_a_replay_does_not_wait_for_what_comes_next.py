"""A step whose result is the next thing recorded gives it at once, when nothing else could run before."""

import asyncio
from collections.abc import Callable

import pytest

from tests.support.driver import Drive, Driver
from tests.support.steps import work
from worldflow import step, workflow, workflow_info
from worldflow.engine.errors import NonDeterminismError, SerializationError
from worldflow.engine.workflow.execution import Execution
from worldflow.engine.workflow.loop import WorkflowLoop


@pytest.fixture
def turns_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> list[WorkflowLoop]:
    made: list[WorkflowLoop] = []
    run = WorkflowLoop.run

    def counted(self: WorkflowLoop, until: asyncio.Future[object]) -> None:
        made.append(self)
        run(self, until)

    monkeypatch.setattr(WorkflowLoop, "run", counted)
    return made


def replay(run: Driver) -> Execution:
    execution = Execution(run.run_id, run.workflow)
    execution.replay(run.history)
    return execution


def completed(drive: Callable[..., Driver], flow: object, steps: int) -> Driver:
    run = drive(flow)
    for number in range(1, steps + 1):
        run.complete(f"s{number}", f"result {number}")
    return run


def test_steps_one_after_the_other_take_one_turn_of_the_loop(drive: Drive, turns_of_the_loop: list[WorkflowLoop]):
    seen = []

    @workflow
    async def sequence() -> None:
        for number in range(60):
            result = await work(number)
            seen.append((result, workflow_info().history_length, asyncio.get_running_loop().time()))

    run = completed(drive, sequence, 50)
    live = seen[:1]
    turns_of_the_loop.clear()
    seen.clear()

    execution = replay(run)

    assert len(turns_of_the_loop) == 1
    assert seen[:1] == live
    assert [length for _, length, _ in seen] == list(range(3, 103, 2))
    assert [time for *_, time in seen] == [event.at.timestamp() for event in run.history if "result" in event.payload]
    assert execution.length == len(run.history)
    execution.dispose()


def test_what_else_is_ready_comes_first(drive: Drive):
    order = []

    async def call() -> None:
        await work()
        order.append("called")

    async def look() -> None:
        order.append("looked")

    @workflow
    async def both() -> None:
        await asyncio.gather(call(), look())
        await work("end")

    run = completed(drive, both, 1)
    order.clear()

    replay(run).dispose()

    assert order == ["looked", "called"]


def test_code_that_asks_for_more_is_found_where_it_does(drive: Drive):
    more = []

    @workflow
    async def growing() -> None:
        timers = []
        for number in range(5):
            if number in more:
                timers.append(asyncio.ensure_future(asyncio.sleep(60)))
                await asyncio.sleep(0)
            await work(number)

    run = completed(drive, growing, 4)
    more.append(2)

    with pytest.raises(NonDeterminismError, match="event 6: the history has StepScheduled s3"):
        replay(run)


def test_code_that_changed_is_found_where_it_changed(drive: Drive):
    steps = ["a"] * 5

    @workflow
    async def changing() -> None:
        for name in steps:
            await work.options()(name) if name == "a" else await asyncio.sleep(1)

    run = completed(drive, changing, 4)
    steps[2] = "b"

    with pytest.raises(NonDeterminismError, match="event 6: the history has StepScheduled s3"):
        replay(run)


def test_a_result_that_fits_no_more_is_not_the_workflows_to_catch(drive: Drive):
    caught = []

    @step
    async def text() -> str:
        raise AssertionError

    @workflow
    async def careful() -> None:
        try:
            await text()
        except Exception as error:
            caught.append(error)
        await work(2)

    run = completed(drive, careful, 1)
    run.history[2] = run.history[2].model_copy(update={"result": {"not": "text"}})

    with pytest.raises(SerializationError, match="no longer matches the annotation"):
        replay(run)
    assert not caught
