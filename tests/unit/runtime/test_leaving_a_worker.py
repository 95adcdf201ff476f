"""The end of `async with Worker`: of its block's, of the caller's, or of the worker's own making."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from worldflow import RetryPolicy, step, workflow
from worldflow.engine.errors import ConfigurationError, WorldClosedError
from worldflow.runtime import Orchestrator
from worldflow.serving import worker as worker_module
from worldflow.serving.worker import Worker
from worldflow.serving.worker_turns import WorkerTurns
from worldflow.worlds import LocalWorld, ledger
from worldflow.worlds.messages import StepOutcome

PATIENCE = 20.0


class Steps:
    """What the steps here do, and what of it has happened."""

    begun: threading.Event
    may_end: threading.Event
    ran: list[str]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    Steps.begun, Steps.may_end, Steps.ran = threading.Event(), threading.Event(), []
    yield
    Steps.may_end.set()


@step(name="leaving_plain", guarantee="at_most_once", retry=RetryPolicy(max_attempts=1))
def plain(how: str) -> str:
    Steps.ran.append("plain")
    Steps.begun.set()
    assert Steps.may_end.wait(PATIENCE)
    if how == "raises":
        raise KeyError("lost")
    return "paid"


@step(name="leaving_async")
async def coroutine(how: str) -> str:
    Steps.ran.append("async")
    Steps.begun.set()
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if how == "raises":
                raise TimeoutError("the bank did not answer") from None
            if how == "returns":
                return "paid"
            if how != "tidies up" or Steps.may_end.is_set():
                raise


@workflow(name="leaving_plainly")
async def plainly(how: str, inline: bool = False) -> str:
    return await plain.options(inline=inline)(how)


@workflow(name="leaving_asynchronously")
async def asynchronously(how: str, inline: bool = False) -> str:
    return await coroutine.options(inline=inline)(how)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LocalWorld]:
    world = LocalWorld(tmp_path / "runs.db", synchronous="NORMAL")
    yield world
    world.close()


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not happened():
            await asyncio.sleep(0)


async def end_after(worker: Worker) -> None:
    """Lets the plain step end when the worker is about to."""
    await until(lambda: worker._turns.stopped)
    Steps.may_end.set()


def outcome(world: LocalWorld) -> StepOutcome | None:
    return ledger.get_outcome(world, "r", "s1", 1)


# --- steps that run then ---


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("how", ["returns", "raises"])
async def test_a_step_in_a_thread_is_waited_for_and_recorded(world: LocalWorld, how: str, inline: bool) -> None:
    async with Worker(world) as worker:
        await Orchestrator(world).start_workflow("r", plainly, {"how": how, "inline": inline})
        await until(Steps.begun.is_set)
        ending = asyncio.create_task(end_after(worker))
    await ending

    assert outcome(world) or "StepCompleted" in [event.event_type for event in world.load_history("r")]
    async with Worker(world):
        run = Orchestrator(world).run("r")
        if how == "returns":
            assert await run.result(timeout=PATIENCE) == "paid"
        else:
            await until(lambda: world.read_run("r").status == "failed")
            assert "KeyError" in str(world.read_run("r").error)
    assert Steps.ran == ["plain"]


async def test_what_ends_while_another_is_waited_for_is_recorded_at_once(world: LocalWorld) -> None:
    ended = threading.Event()

    @step(name="leaving_first")
    def first() -> str:
        assert ended.wait(PATIENCE)
        return "first"

    @workflow(name="leaving_both")
    async def both() -> list[str]:
        return await asyncio.gather(first(), plain("returns"))

    async def leave() -> None:
        async with Worker(world):
            await Orchestrator(world).start_workflow("r", both)
            await until(Steps.begun.is_set)

    leaving = asyncio.create_task(leave())
    await until(Steps.begun.is_set)
    ended.set()
    await until(lambda: outcome(world))
    assert not Steps.may_end.is_set()
    Steps.may_end.set()
    await leaving


@pytest.mark.parametrize("how", ["is cancelled", "raises"])
async def test_an_async_step_is_cancelled_and_runs_again(world: LocalWorld, how: str) -> None:
    async with Worker(world):
        await Orchestrator(world).start_workflow("r", asynchronously, {"how": how})
        await until(Steps.begun.is_set)
    assert outcome(world) is None

    Steps.begun.clear()
    async with Worker(world):
        await until(Steps.begun.is_set)
    assert Steps.ran == ["async", "async"]


async def test_an_inline_step_is_cancelled_where_its_turn_does_not_end(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_module, "LONGEST_TURN", 0.001)
    for times in range(1, 8):  # more often than a message may be rejected
        async with Worker(world):
            if times == 1:
                await Orchestrator(world).start_workflow("r", asynchronously, {"how": "is cancelled", "inline": True})
            await until(lambda times=times: len(Steps.ran) == times)  # type: ignore[misc]
        assert world.read_run("r").status == "running"
    assert "could not be handled" not in caplog.text


async def test_what_an_async_step_returns_then_is_recorded(world: LocalWorld) -> None:
    async with Worker(world):
        await Orchestrator(world).start_workflow("r", asynchronously, {"how": "returns"})
        await until(Steps.begun.is_set)
    assert outcome(world)


async def test_no_step_begins_any_more(world: LocalWorld) -> None:
    async with Worker(world, concurrency=1) as worker:
        app = Orchestrator(world)
        await app.start_workflow("r", plainly, {"how": "returns"})
        await until(Steps.begun.is_set)
        await app.start_workflow("other", asynchronously, {"how": "returns"})
        ending = asyncio.create_task(end_after(worker))
    await ending
    assert Steps.ran == ["plain"]


# --- the caller's cancellation ---


async def tidy(world: LocalWorld) -> str:
    async with Worker(world):
        await Orchestrator(world).start_workflow("r", asynchronously, {"how": "tidies up"})
        await until(Steps.begun.is_set)
    return "went on as if nothing had been said"


async def linger(world: LocalWorld) -> str:
    async with Worker(world):
        await Orchestrator(world).start_workflow("r", plainly, {"how": "returns"})
        await until(Steps.begun.is_set)
    return "went on as if nothing had been said"


@pytest.mark.parametrize("leave", [tidy, linger])
async def test_a_cancellation_while_it_is_left_reaches_the_caller(
    world: LocalWorld, leave: Callable[[LocalWorld], Awaitable[str]]
) -> None:
    leaving = asyncio.ensure_future(leave(world))
    await until(Steps.begun.is_set)
    for _ in range(3):
        await asyncio.sleep(0)
    if leave is tidy:
        Steps.may_end.set()  # and not for `linger`: a step in a thread is waited for no longer
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_timeout_while_it_is_left_reaches_the_caller(world: LocalWorld) -> None:
    here = asyncio.current_task()
    assert here
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as limit, Worker(world):
            await Orchestrator(world).start_workflow("r", plainly, {"how": "returns"})
            await until(Steps.begun.is_set)
            loop = asyncio.get_running_loop()
            loop.call_soon(lambda: limit.reschedule(loop.time()))
    assert here.cancelling() == 0


async def test_a_timeout_of_the_block_reaches_the_caller(world: LocalWorld) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), Worker(world):
            await asyncio.Event().wait()


async def test_an_error_of_the_block_stays_as_it_is(world: LocalWorld) -> None:
    with pytest.raises(KeyError, match="the application's own"):
        async with Worker(world):
            raise KeyError("the application's own")


# --- the worker's own end ---


class Broken(Exception):
    pass


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The worker's turns fail when it is set."""
    broken = threading.Event()
    take = WorkerTurns.take

    def fail(self: WorkerTurns, runs: int) -> bool:
        if broken.is_set():
            raise Broken("a fault")
        return take(self, runs)

    monkeypatch.setattr(WorkerTurns, "take", fail)
    return broken


async def test_its_block_is_cancelled_and_raises_the_error(world: LocalWorld, breaks: threading.Event) -> None:
    here = asyncio.current_task()
    assert here
    with pytest.raises(Broken):
        async with Worker(world):
            breaks.set()
            await asyncio.Event().wait()
    assert here.cancelling() == 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):  # which works as ever
            await asyncio.Event().wait()


async def test_a_block_that_waits_for_a_result_hears_of_it(world: LocalWorld, breaks: threading.Event) -> None:
    with pytest.raises(Broken):
        async with Worker(world):
            run = await Orchestrator(world).start_workflow("r", plainly, {"how": "returns"})
            breaks.set()
            await run.result()


async def test_a_block_that_keeps_the_cancellation_raises_it_all_the_same(
    world: LocalWorld, breaks: threading.Event
) -> None:
    with pytest.raises(Broken):
        async with Worker(world):
            breaks.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()


async def test_the_callers_cancellation_comes_first(
    world: LocalWorld, breaks: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)
    cancelled = asyncio.Event()

    async def application() -> None:
        async with Worker(world):
            breaks.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(application())
    await cancelled.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_world_that_is_closed_under_it(world: LocalWorld) -> None:
    with pytest.raises(WorldClosedError):
        async with Worker(world):
            world.close()
            await asyncio.Event().wait()


async def test_a_second_worker_says_so_before_its_block(world: LocalWorld, tmp_path: Path) -> None:
    second = LocalWorld(tmp_path / "runs.db")
    async with Worker(world):
        with pytest.raises(ConfigurationError, match="another worker already serves"):
            async with Worker(second):
                raise AssertionError("its block has begun")
    async with Worker(second):
        pass  # the first has left
    second.close()


async def test_a_worker_may_serve_again(world: LocalWorld) -> None:
    worker = Worker(world)
    for number in range(2):
        async with worker:
            run = await Orchestrator(world).start_workflow(f"r{number}", plainly, {"how": "returns"})
            Steps.may_end.set()
            assert await run.result(timeout=PATIENCE) == "paid"
