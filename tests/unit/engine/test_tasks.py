import asyncio
import contextvars
import functools

import pytest

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import sleep, workflow


def test_a_task_starts_at_once_and_is_awaited_later(drive: Drive):
    @workflow
    async def ahead() -> list[str]:
        task = asyncio.create_task(work("early"))
        late = await work("late")
        return [await task, late]

    run = drive(ahead)
    assert [run.input_of(step_id)["item"] for step_id in run.open_steps()] == ["late", "early"]
    run.complete("s2", "a")
    run.complete("s1", "b")
    assert run.result() == ["a", "b"]


def test_a_callback_of_a_task(drive: Drive):
    @workflow
    async def watched() -> list[str]:
        seen = []
        task = asyncio.create_task(work(), name="watched")
        task.add_done_callback(lambda done: seen.append(f"{done.get_name()}: {done.result()}"))
        await task
        await asyncio.sleep(0)
        return seen

    run = drive(watched)
    run.complete("s1", "ok")
    assert run.result() == ["watched: ok"]


def test_names_of_tasks_are_the_same_on_every_replay(drive: Drive):
    @workflow
    async def named() -> list[str]:
        tasks = [asyncio.create_task(work(n)) for n in range(3)]
        await asyncio.gather(*tasks)
        current = asyncio.current_task()
        assert current is not None
        return [current.get_name(), *(task.get_name() for task in tasks)]

    run = drive(named)
    for n in (1, 2, 3):
        run.complete(f"s{n}")
    assert run.result() == ["named", "task-1", "task-2", "task-3"]


def test_a_context_variable_is_kept_over_awaits(drive: Drive):
    variable = contextvars.ContextVar("variable", default="unset")

    async def child(value: str) -> str:
        variable.set(value)
        await work()
        return variable.get()

    @workflow
    async def contextual() -> list[str]:
        variable.set("main")
        children = await asyncio.gather(child("a"), child("b"))
        return [*children, variable.get()]

    run = drive(contextual)
    run.complete("s2")
    run.complete("s1")
    assert run.result() == ["a", "b", "main"]
    assert variable.get() == "unset"


def test_cancelling_a_task_that_sleeps(drive: Drive):
    @workflow
    async def change_of_mind() -> bool:
        task = asyncio.create_task(sleep("1h"))
        await work()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled()

    run = drive(change_of_mind)
    run.complete("s1")
    assert run.decided == ["TimerCancelled t1", "RunCompleted"]
    assert run.result() is True


def test_all_tasks_are_those_of_the_workflow_in_an_order_that_holds(drive: Drive):
    @workflow
    async def sweep() -> int:
        tasks = [asyncio.create_task(work(n)) for n in range(40)]
        await asyncio.sleep(0)
        everything = asyncio.all_tasks() - {asyncio.current_task()}
        assert everything == set(tasks)
        for task in everything:
            task.cancel()
        await work("last")
        return len(everything)

    run = drive(sweep)
    assert [line for line in run.decided if "Abandoned" in line] == [f"StepAbandoned s{n}" for n in range(1, 41)]


def test_yielding_gives_the_others_a_turn(drive: Drive):
    @workflow
    async def polite() -> list[str]:
        seen = []

        async def talk(name: str) -> None:
            for n in range(2):
                seen.append(f"{name}{n}")
                await asyncio.sleep(0)

        await asyncio.gather(talk("a"), talk("b"))
        return seen

    assert drive(polite).result() == ["a0", "b0", "a1", "b1"]


def test_call_later_and_call_soon(drive: Drive):
    @workflow
    async def callbacks() -> list[str]:
        loop, seen = asyncio.get_running_loop(), []
        future = loop.create_future()
        loop.call_later(10, functools.partial(seen.append, "later"))
        loop.call_later(20, future.set_result, None)
        loop.call_soon(seen.append, "soon")
        await future
        return seen

    run = drive(callbacks)
    assert run.decided == ["TimerStarted t1", "TimerStarted t2"]
    run.advance(20)
    assert run.result() == ["soon", "later"]


def test_a_callback_that_raises_is_logged_and_stops_nothing(drive: Drive, caplog: pytest.LogCaptureFixture):
    def broken() -> None:
        raise LookupError("in a callback")

    @workflow
    async def careless() -> str:
        asyncio.get_running_loop().call_soon(broken)
        return await work()

    run = drive(careless)
    run.complete("s1", "fine")
    assert run.result() == "fine"
    assert "in a callback" in caplog.text
