"""Tasks of a test wait side by side in one `WorkflowEnvironment`: each gets its answer, and time passes as for one."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worldflow import now as workflow_now
from worldflow import on_update, sleep, step, wait_for_signal, workflow
from worldflow.testing import WorkflowEnvironment

START = datetime(2026, 1, 15, 10, tzinfo=UTC)


@step(name="callers_note")
async def note(text: str) -> str:
    return text


@workflow(name="callers_naps")
async def naps(seconds: int, times: int = 3) -> str:
    for _ in range(times):
        await sleep(seconds)
        await note("x")
    return "done"


@workflow(name="callers_waits")
async def waits() -> str:
    said: str = await wait_for_signal("word")
    await sleep(5)
    return f"{said} at {workflow_now():%H:%M:%S}"


@workflow(name="callers_updates")
async def updates() -> list[str]:
    said: list[str] = []

    @on_update("say")
    async def say(word: str) -> str:
        await sleep(3)
        said.append(word)
        return word.upper()

    while len(said) < 2:
        await sleep(1)
    return said


@pytest.mark.parametrize("replay", [True, False])
@pytest.mark.parametrize("attempt", range(2))
async def test_results_side_by_side(replay: bool, attempt: int) -> None:
    async with WorkflowEnvironment(start_time=START, replay_every_turn=replay) as env:
        runs = [await env.start(naps, seconds) for seconds in (1, 2, 3, 3)]
        other = await env.start(naps, 86_400)
        assert await asyncio.gather(*(run.result() for run in runs)) == ["done"] * 4
        assert env.now() == START + timedelta(seconds=9)  # and not as long as the one that nobody waits for
        assert await other.status() == "running"


async def test_many_callers_wait_for_one_run() -> None:
    async with WorkflowEnvironment(start_time=START) as env:
        run = await env.start(naps, 1)
        assert await asyncio.gather(*(run.result() for _ in range(5))) == ["done"] * 5
        assert env.now() == START + timedelta(seconds=3)


async def test_one_waits_while_another_sends() -> None:
    async with WorkflowEnvironment(start_time=START) as env:
        run = await env.start(waits)
        said = await asyncio.gather(run.result(), run.signal("word", "hello"))
        assert said[0] == "hello at 10:00:05"


async def test_answers_side_by_side() -> None:
    async with WorkflowEnvironment(start_time=START) as env:
        run = await env.start(updates)
        answers = await asyncio.gather(run.update("say", "a"), run.update("say", "b"), run.result())
        assert answers[:2] == ["A", "B"]
        assert sorted(answers[2]) == ["a", "b"]


async def test_one_that_waits_for_nothing_is_told_while_others_get_theirs() -> None:
    async with WorkflowEnvironment(start_time=START) as env:
        silent, busy = await env.start(waits), await env.start(naps, 1)
        results: list[Any] = await asyncio.gather(silent.result(), busy.result(), return_exceptions=True)
        assert results[1] == "done"
        assert str(results[0]) == f"run {silent.id!r} waits for something that never arrives; a signal, perhaps?"


async def test_a_caller_that_is_cancelled_leaves_nothing_half_done() -> None:
    async with WorkflowEnvironment(start_time=START) as env:
        run = await env.start(naps, 1, 20)
        for _ in range(10):
            waiting = asyncio.create_task(run.result())
            for _ in range(5):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
        assert await run.result() == "done"


class Held:
    begun: threading.Event
    may_end: threading.Event


@step(name="callers_hold")
def hold() -> None:
    Held.begun.set()
    assert Held.may_end.wait(20)


@step(name="callers_hang")
async def hang() -> None:
    Held.begun.set()
    await asyncio.Event().wait()


@workflow(name="callers_holds")
async def holds(plain: bool, inline: bool) -> None:
    await (hold.options(inline=inline)() if plain else hang())


@pytest.mark.parametrize(("plain", "inline"), [(True, False), (True, True), (False, False)])
async def test_it_is_left_by_an_error_while_its_world_is_in_use(plain: bool, inline: bool) -> None:
    """The process goes on, and nothing of the environment does but a step in a thread."""
    Held.begun, Held.may_end = threading.Event(), threading.Event()
    before = asyncio.all_tasks()
    with pytest.raises(KeyError):
        async with WorkflowEnvironment() as env:
            starting = asyncio.create_task(env.start(holds, plain, inline))
            while not Held.begun.is_set():
                await asyncio.sleep(0)
            starting.cancel()
            raise KeyError("the test has failed")
    Held.may_end.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert {task for task in asyncio.all_tasks() - before if "worldflow" in repr(task.get_coro())} == set()


@pytest.mark.parametrize("order", [1, -1])
async def test_one_that_is_patient_does_not_pass_the_limit_of_another(order: int) -> None:
    async with WorkflowEnvironment(start_time=START) as env:
        run, silent = await env.start(naps, 3600, 2), await env.start(waits)
        callers = [run.result(timeout="5h"), run.result(timeout="30m"), silent.result(timeout="40m"), run.result()]
        ended = (await asyncio.gather(*callers[::order], return_exceptions=True))[::order]
        assert [ended[0], type(ended[1]), type(ended[2]), ended[3]] == ["done", TimeoutError, TimeoutError, "done"]
        assert env.now() == START + timedelta(hours=2)
