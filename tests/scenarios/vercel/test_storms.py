"""Many things at once, in branches whose number of steps depends on which of them comes first.

Whoever replays such a run from a history that lacks one event decides otherwise in everything that follows.
"""

import asyncio

import pytest

from tests.support.scenarios import Env
from worldflow import RetryableError, sleep, step, step_info, wait_for_signal, workflow


@pytest.fixture
def work():
    @step
    async def work(label: str, delay: int = 0) -> str:
        if delay and step_info().attempt == 1:
            raise RetryableError("later", retry_after=delay)
        return label

    return work


async def test_branches_that_race_a_step_against_a_timer(env: Env, work) -> None:
    """Each branch that loses takes two steps more than one that wins."""

    @workflow
    async def step_storm(rounds: int, width: int) -> list[str]:
        seen = []

        async def branch(round: int, index: int) -> str:
            name = f"{round}.{index}"
            try:
                return await asyncio.wait_for(work(name, 60 + 120 * (index % 3)), timeout=240)
            except TimeoutError:
                await work(f"{name} reconciles")
                return await work(f"{name} late")

        for round in range(rounds):
            seen += await asyncio.gather(*(branch(round, index) for index in range(width)))
            await sleep(1)
        return seen

    run = await env.start(step_storm, 2, 6)
    for number in range(8):
        await run.signal("poke", number)  # nobody waits for it: a turn that changes nothing
        await env.skip()

    expected = [f"{r}.{i}" + (" late" if i % 3 == 2 else "") for r in range(2) for i in range(6)]
    assert await run.result() == expected


async def test_branches_that_race_a_signal_against_a_timer(env: Env, work) -> None:
    @workflow
    async def signal_storm(width: int) -> list[str]:
        async def branch(index: int) -> str:
            await work(f"launch {index}")
            try:
                async with asyncio.timeout(300 + index):
                    value = await wait_for_signal(f"go-{index}")
            except TimeoutError:
                await work(f"{index} reconciles")
                value = "nothing"
            return await work(f"{index}: {value}")

        return await asyncio.gather(*map(branch, range(width)))

    run = await env.start(signal_storm, 5)
    for index in (4, 0, 2):
        await run.signal(f"go-{index}", "signal")
        await run.signal("poke")
    result = await run.result()

    assert result == [f"{n}: {'signal' if n in (0, 2, 4) else 'nothing'}" for n in range(5)]


async def test_a_loop_that_races_signals_against_its_heartbeat(env: Env, work) -> None:
    """A stale wake takes no step, a fresh one takes two; wakes come while the loop waits and while it works."""

    @workflow
    async def wake_loop(wakes: int) -> dict[str, int]:
        counts = {"fresh": 0, "stale": 0, "heartbeats": 0}
        while counts["fresh"] < wakes:
            try:
                async with asyncio.timeout(600):
                    wake = await wait_for_signal("wake")
            except TimeoutError:
                counts["heartbeats"] += 1
                continue
            if not wake["fresh"]:
                counts["stale"] += 1
                continue
            counts["fresh"] += 1
            await work("drain", 2)
            await work("store")
        return counts

    run = await env.start(wake_loop, 4)
    for number in range(4):
        await run.signal("wake", {"fresh": True})
        await run.signal("wake", {"fresh": False})
        if number % 2:
            await env.skip()
        if number == 2:
            await env.advance("25m")

    counts = await run.result()
    assert (counts["fresh"], counts["heartbeats"] > 0) == (4, True)
    assert await run.steps() == ["work"] * 8


async def test_every_signal_is_delivered_beside_a_long_sleep(env: Env, work) -> None:
    @workflow
    async def collecting() -> list[str]:
        background = asyncio.create_task(sleep("1d"))
        seen = []
        while True:
            item = await wait_for_signal("item")
            seen.append(await work(item["name"]))
            if item["done"]:
                assert not background.done()
                return seen

    run = await env.start(collecting)
    for number in range(5):
        await env.orchestrator.signal(run.id, "item", {"name": f"item {number}", "done": number == 4})

    assert await run.result() == [f"item {number}" for number in range(5)]
