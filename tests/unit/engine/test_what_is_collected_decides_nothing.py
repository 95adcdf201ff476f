"""The garbage collector runs the `finally` of what was left in a reference cycle in whatever turn is under way: for the
run of that turn it means nothing, and its own run decides nothing there.
"""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.driver import START, Drive
from tests.support.steps import plain_work, work
from worldflow import (
    create_hook,
    on_update,
    patched,
    publish,
    random,
    set_attributes,
    set_status,
    sleep,
    step,
    uuid4,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import AnyDecision, RunStarted, StepCompleted, VersionMarked
from worldflow.engine.workflow.execution import Execution

seen: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_is_collected_by_chance() -> Iterator[None]:
    seen.clear()
    gc.disable()
    gc.freeze()  # or each collection would walk all that the tests have imported
    yield
    gc.unfreeze()
    gc.enable()


@workflow
async def nobody_s_child() -> None:
    pass


@step
def repay() -> None:
    seen.append("a step ran for real")


async def _background() -> None:
    set_status("in the background")


ASKED: dict[str, Callable[[], object]] = {
    "set_status": lambda: set_status("mine"),
    "set_attributes": lambda: set_attributes(owner="Ada"),
    "start_detached": lambda: nobody_s_child.start_detached(),
    "create_hook": create_hook,
    "patched": lambda: patched("change"),
    "uuid4": uuid4,
    "random": lambda: random().random(),
    "publish": lambda: publish("owner", "Ada"),
    "on_update": lambda: on_update("rename")(lambda name: name),
    "wait_for_signal": lambda: wait_for_signal("go"),
    "a step": lambda: work().close(),
    "a plain step": repay,
    "a child": lambda: nobody_s_child().close(),
    "a task": lambda: asyncio.ensure_future(_background()),
    "a timer": lambda: asyncio.get_running_loop().call_later(60, print),
}


def leave_behind(generator: Iterator[Any]) -> None:
    """Begins a generator and leaves it suspended, in a reference cycle."""
    next(generator)
    cycle: list[Any] = [generator]
    cycle.append(cycle)


def live(flow: Any, run_id: str) -> tuple[Execution, list[AnyDecision]]:
    execution = Execution(run_id, flow)
    return execution, execution.apply(RunStarted(run_id=run_id, workflow_name=flow.name), START)


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_in_the_turn_of_another_run(ask: Callable[[], object]) -> None:
    def lines() -> Iterator[None]:
        try:
            yield
        finally:
            seen.append("collected")
            ask()
            seen.append("went on")

    @workflow
    async def leaves() -> None:
        leave_behind(lines())
        await sleep("1h")

    @workflow
    async def innocent() -> Any:
        gc.collect()
        await work(str(uuid4()))

    expected, alone = live(innocent, "innocent")
    first, _ = live(leaves, "first")
    second, beside = live(innocent, "innocent")

    assert seen == ["collected"]
    assert beside == alone
    assert second.published == {}
    for run in (expected, first, second):
        run.dispose()


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_in_its_own_turn(drive: Drive, ask: Callable[[], object]) -> None:
    def lines() -> Iterator[None]:
        try:
            yield
        finally:
            seen.append("collected")
            ask()
            seen.append("went on")

    @workflow
    async def leaves() -> str:
        leave_behind(lines())
        await work()
        gc.collect()
        await work()
        return str(uuid4())

    run = drive(leaves)
    run.complete(work)
    run.complete(work)

    assert set(seen) == {"collected"}
    assert run.all_decided == ["StepScheduled s1 work", "StepScheduled s2 work", "RunCompleted"]


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_an_async_generator_in_its_own_turn(drive: Drive, ask: Callable[[], object]) -> None:
    async def lines() -> AsyncIterator[None]:
        try:
            yield
        finally:
            seen.append("collected")
            ask()

    @workflow
    async def leaves() -> str:
        cycle: list[Any] = [lines()]
        cycle.append(cycle)
        await anext(cycle[0])
        del cycle
        await work()
        gc.collect()
        await asyncio.create_task(work())
        return str(uuid4())

    run = drive(leaves)
    run.complete(work)
    run.complete(work)

    assert set(seen) == {"collected"}
    assert run.all_decided == ["StepScheduled s1 work", "StepScheduled s2 work", "RunCompleted"]


def test_an_async_generator_does_nothing_in_an_applications_loop() -> None:
    async def lines() -> AsyncIterator[None]:
        try:
            yield
        finally:
            seen.append("collected")
            asyncio.get_running_loop().call_soon(seen.append, "ran")
            seen.append("went on")

    @workflow
    async def leaves() -> None:
        cycle: list[Any] = [lines()]
        cycle.append(cycle)
        await anext(cycle[0])
        del cycle
        await sleep("1h")

    async def main(execution: Execution) -> None:
        gc.collect()
        await asyncio.sleep(0)
        execution.dispose()

    execution, _ = live(leaves, "r")
    asyncio.run(main(execution))
    assert seen == ["collected"]


def test_between_turns_and_in_other_threads() -> None:
    def lines() -> Iterator[None]:
        try:
            yield
        finally:
            seen.append("collected")
            repay()

    @workflow
    async def leaves() -> None:
        leave_behind(lines())
        await wait_for_signal("go")
        leave_behind(lines())

    execution, _ = live(leaves, "r")
    gc.collect()
    execution.dispose()
    execution, _ = live(leaves, "r")
    thread = threading.Thread(target=gc.collect)
    thread.start()
    thread.join()

    assert seen == ["collected", "collected"]
    execution.dispose()


def test_an_async_generator(drive: Drive) -> None:
    async def approvals() -> AsyncIterator[Any]:
        try:
            while True:
                yield await wait_for_signal("approval")
        finally:
            await work("nobody listens any more")

    @workflow
    async def asks() -> Any:
        listening = approvals()
        cycle: list[Any] = [listening]
        cycle.append(cycle)
        by = await anext(listening)
        del listening, cycle
        gc.collect()
        return await plain_work(by)

    run = drive(asks)
    run.signal("approval", "Ada")

    assert run.all_decided == ["StepScheduled s1 plain_work"]


def test_one_that_is_left_early_decides_as_in_asyncio(drive: Drive) -> None:
    """It is closed where the last reference goes, which is at the same place on every replay."""

    async def approvals() -> AsyncIterator[Any]:
        try:
            while True:
                yield await wait_for_signal("approval")
        finally:
            await work("nobody listens any more")

    @workflow
    async def asks() -> Any:
        async for by in approvals():  # noqa: B007
            break
        return await plain_work(by)

    run = drive(asks)
    run.signal("approval", "Ada")

    assert run.all_decided == ["StepScheduled s1 plain_work", "StepScheduled s2 work"]


def test_a_hook_in_a_generator_is_held_until_the_run_ends(drive: Drive) -> None:
    def listening() -> Iterator[Any]:
        with create_hook(token="order") as hook:
            yield hook

    @workflow
    async def asks() -> None:
        leave_behind(listening())
        await work()
        gc.collect()
        await work()

    run = drive(asks)
    run.complete(work)

    assert "HookDisposed h1" not in run.all_decided
    assert "h1" in run.state.hooks


class Held:
    """What a workflow's background task waits at, and what a `finally` may do to it."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.queue: asyncio.Queue[int] = asyncio.Queue()
        self.semaphore = asyncio.Semaphore(0)
        self.lock = asyncio.Lock()
        self.future = asyncio.get_running_loop().create_future()


WAITS: dict[str, tuple[Callable[[Held], Any], Callable[[Held], Any]]] = {
    "event": (lambda held: held.event.wait(), lambda held: held.event.set()),
    "queue": (lambda held: held.queue.get(), lambda held: held.queue.put_nowait(1)),
    "semaphore": (lambda held: held.semaphore.acquire(), lambda held: held.semaphore.release()),
    "future": (lambda held: held.future, lambda held: held.future.set_result(1)),
    "error": (lambda held: held.future, lambda held: held.future.set_exception(LookupError())),
    "cancelled": (lambda held: held.future, lambda held: held.future.cancel()),
}


@pytest.mark.parametrize("wait_at", WAITS)
def test_who_waits_is_not_woken_and_can_be_later(drive: Drive, wait_at: str) -> None:
    wait, wake = WAITS[wait_at]

    @workflow
    async def waits() -> str:
        held = Held()

        def lines() -> Iterator[None]:
            try:
                yield
            finally:
                seen.append("collected")
                wake(held)

        async def background() -> None:
            try:
                await wait(held)
            finally:
                await work("woken")

        task = asyncio.create_task(background())
        leave_behind(lines())
        await plain_work()
        gc.collect()
        await plain_work()
        wake(held)
        await asyncio.wait([task])
        return "done"

    run = drive(waits)
    run.complete(plain_work)
    assert set(seen) == {"collected"}
    assert run.open_steps(work) == []
    run.complete(plain_work)
    run.complete(work)
    assert run.result() == "done"


@pytest.mark.parametrize("has_begun", [True, False])
def test_a_task_is_not_cancelled(drive: Drive, has_begun: bool) -> None:
    @contextmanager
    def running(task: asyncio.Task[Any]) -> Iterator[None]:
        try:
            yield
        finally:
            seen.append("collected")
            task.cancel()

    @workflow
    async def waits() -> Any:
        async def background() -> Any:
            return await work()

        task = asyncio.create_task(background())
        if has_begun:
            await plain_work()
        manager = running(task)
        manager.__enter__()
        cycle: list[Any] = [manager]
        cycle.append(cycle)
        del manager, cycle
        gc.collect()
        return await task

    run = drive(waits)
    if has_begun:
        run.complete(plain_work)
    run.complete(work, 3)
    assert run.result() == 3
    assert set(seen) == {"collected"}


def test_an_application_s_event_is_set_while_a_workflow_runs() -> None:
    """Whose thread the collector interrupts says nothing of whose garbage it finds."""

    @workflow
    async def collects() -> None:
        gc.collect()

    async def main() -> None:
        event = asyncio.Event()
        waiting = asyncio.create_task(event.wait())
        await asyncio.sleep(0)

        def lines() -> Iterator[None]:
            try:
                yield
            finally:
                event.set()

        leave_behind(lines())
        execution, _ = await asyncio.to_thread(live, collects, "r")
        execution.dispose()
        assert event.is_set()
        waiting.cancel()

    asyncio.run(main())


def test_what_is_under_way_is_not_disturbed() -> None:
    """The workflow in whose turn the collector ran goes on, on its own loop."""

    @workflow
    async def collects() -> Any:
        gc.collect()
        task = asyncio.create_task(work())
        if patched("change"):
            set_status("still here")
        return await task

    execution, decisions = live(collects, "r")

    assert any(isinstance(decision, VersionMarked) for decision in decisions)
    (completed,) = execution.apply(StepCompleted(step_id="s1", result=3), START)
    assert completed.event_type == "RunCompleted"
    execution.dispose()


def test_an_application_s_own_loop_is_left_alone() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def lines() -> Iterator[None]:
            try:
                yield
            finally:
                seen.append("closed" if asyncio.get_running_loop() is loop else "elsewhere")

        leave_behind(lines())
        gc.collect()

    asyncio.run(main())
    assert seen == ["closed"]
