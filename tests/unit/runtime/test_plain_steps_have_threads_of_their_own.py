"""As many plain steps run at a time as may, and neither they nor the application wait for each other's threads."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from worldflow import RetryPolicy, step, wait_for_signal, workflow
from worldflow.runtime import Orchestrator
from worldflow.serving.worker import Worker
from worldflow.turns.steps import StepExecutor
from worldflow.worlds import LocalWorld, ledger
from worldflow.worlds.messages import StepTask

PATIENCE = 10.0
COUNT = (os.cpu_count() or 1) + 5  # one more than the threads that asyncio has by itself

customer: contextvars.ContextVar[str] = contextvars.ContextVar("customer", default="nobody")


class Meeting:
    """Where steps meet: none goes on before all are there."""

    barrier = threading.Barrier(COUNT)
    application: Orchestrator
    loop: asyncio.AbstractEventLoop


@step(name="threads_meet")
def meet(number: int) -> int:
    Meeting.barrier.wait(PATIENCE)
    return number


@step(name="threads_tell", retry=RetryPolicy(max_attempts=1))
def tell(number: int) -> None:
    """Asks its own application for something, as over HTTP."""
    Meeting.barrier.wait(PATIENCE)
    telling = Meeting.application.signal("listener", "number", number)
    asyncio.run_coroutine_threadsafe(telling, Meeting.loop).result(PATIENCE)


@workflow(name="threads_meets")
async def meets(count: int) -> int:
    return sum(await asyncio.gather(*(meet(number) for number in range(count))))


@workflow(name="threads_tells")
async def tells(count: int) -> None:
    await asyncio.gather(*(tell(number) for number in range(count)))


@workflow(name="threads_listener")
async def listener(count: int) -> int:
    return sum([await wait_for_signal("number") for _ in range(count)])


@pytest.fixture
def world() -> Iterator[LocalWorld]:
    Meeting.barrier.reset()
    world = LocalWorld()
    yield world
    world.close()


async def test_as_many_run_at_a_time_as_may(world: LocalWorld) -> None:
    async with Worker(world, concurrency=COUNT):
        run = await Orchestrator(world).start_workflow("r", meets, {"count": COUNT})
        assert await run.result(timeout=PATIENCE) == sum(range(COUNT))


async def test_steps_ask_their_own_application(world: LocalWorld) -> None:
    Meeting.application, Meeting.loop = Orchestrator(world), asyncio.get_running_loop()
    async with Worker(world, concurrency=COUNT):
        waits = await Meeting.application.start_workflow("listener", listener, {"count": COUNT})
        await (await Meeting.application.start_workflow("tells", tells, {"count": COUNT})).result(timeout=PATIENCE)
        assert await waits.result(timeout=PATIENCE) == sum(range(COUNT))


async def test_a_step_waits_for_no_thread_of_the_applications(world: LocalWorld) -> None:
    """All of which are busy, until it has run."""

    ended = threading.Event()

    @step(name="threads_ends", guarantee="at_most_once")  # so that it is claimed before, which is a call that blocks
    def ends() -> None:
        ended.set()

    asyncio.get_running_loop().set_default_executor(pool := ThreadPoolExecutor(1))
    busy = asyncio.create_task(asyncio.to_thread(ended.wait, PATIENCE))
    executor = StepExecutor(world)
    await executor.execute(StepTask(run_id="r", step_id="s1", name="threads_ends", at_most_once=True), redelivered=True)
    assert await busy
    assert ledger.get_outcome(world, "r", "s1", 1)
    executor.close()
    pool.shutdown()


@pytest.mark.parametrize("inline", [False, True])
async def test_the_callers_context_comes_along(world: LocalWorld, inline: bool) -> None:
    seen: list[tuple[str, str]] = []

    @step(name="threads_looks")
    def looks() -> None:
        seen.append((customer.get(), threading.current_thread().name))

    customer.set("Ada")
    executor = StepExecutor(world)
    task = StepTask(run_id="r", step_id="s1", name="threads_looks")
    if inline:
        await asyncio.get_running_loop().run_in_executor(
            None, contextvars.copy_context().run, executor.run_inline, [task]
        )
    else:
        await executor.execute(task)
    assert [(who, name.startswith("worldflow-step")) for who, name in seen] == [("Ada", True)]
    executor.close()


async def test_no_thread_is_started_before_one_is_needed(world: LocalWorld) -> None:
    @step(name="threads_none")
    async def none() -> None: ...

    before = threading.active_count()
    executor = StepExecutor(world)
    await executor.attempt(StepTask(run_id="r", step_id="s1", name="threads_none"))
    assert threading.active_count() == before
    executor.close()


async def test_closing_lets_go_of_them(world: LocalWorld) -> None:
    found: list[threading.Thread] = []

    @step(name="threads_found")
    def found_here() -> None:
        found.append(threading.current_thread())

    executor = StepExecutor(world)
    await executor.execute(StepTask(run_id="r", step_id="s1", name="threads_found"))
    executor.close()
    found[0].join(PATIENCE)
    assert not found[0].is_alive()
