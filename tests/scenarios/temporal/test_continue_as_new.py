"""A run that goes on as a new one: the same id to those outside, other arguments, a history that begins again."""

import pytest

from tests.support.scenarios import Env
from worldflow import (
    RunEndedError,
    continue_as_new,
    set_attributes,
    sleep,
    step,
    wait_for_signal,
    workflow,
    workflow_info,
)


async def test_through_generations_to_the_last(env: Env) -> None:
    @step
    async def work(number: int) -> int:
        return number + 1

    @workflow
    async def counting(number: int, until: int) -> list[object]:
        number = await work(number)
        if number < until:
            continue_as_new(number, until=until)
        return [number, workflow_info().history_length < 20]

    run = await env.start_as("counting", counting, 0, until=4)

    assert await run.result() == [4, True]
    assert await run.status() in ("continued", "completed")
    assert await env.handle("counting~4").status() == "completed"
    assert (await run.kinds())[-1] == "RunContinued"
    assert await run.steps() == ["work"]


async def test_its_attributes_stay_with_it(env: Env) -> None:
    @workflow
    async def counting(number: int) -> int:
        if number == 1:
            set_attributes(customer="ada", first=True)
            continue_as_new(2)
        set_attributes(first=None)
        await sleep("1s")
        return number

    run = await env.start_as("counting", counting, 1)

    assert await run.result() == 2
    assert env.world.read_run("counting").attributes == {"customer": "ada", "first": True}
    assert env.world.read_run("counting~2").attributes == {"customer": "ada"}


async def test_signals_that_nobody_took_travel(env: Env) -> None:
    @workflow
    async def collecting(taken: list[int]) -> list[int]:
        taken = [*taken, await wait_for_signal("number", int)]
        await sleep("1m")
        if len(taken) < 3:
            continue_as_new(taken)
        return taken

    run = await env.start_as("collecting", collecting, [])
    for number in range(3):
        await run.signal("number", number)

    assert await run.result() == [0, 1, 2]
    assert await env.handle("collecting~3").status() == "completed"


async def test_signals_to_the_first_reach_the_newest(env: Env) -> None:
    @workflow
    async def listening(round: int) -> str:
        if round < 3:
            continue_as_new(round + 1)
        return await wait_for_signal("word", str)

    run = await env.start_as("listening", listening, 1)
    await env.restart()
    await run.signal("word", "to the first")

    assert await run.result() == "to the first"


async def test_a_signal_counts_once_over_all_generations(env: Env) -> None:
    @workflow
    async def collecting(taken: list[int]) -> list[int]:
        taken = [*taken, await wait_for_signal("number", int)]
        if len(taken) < 2:
            continue_as_new(taken)
        return taken

    run = await env.start_as("once", collecting, [])
    await run.signal("number", 1, signal_id="one")
    await run.signal("number", 1, signal_id="one")
    assert await env.handle("once~2").status() == "running"
    await run.signal("number", 2, signal_id="two")

    assert await run.result() == [1, 2]


async def test_cancelling_reaches_the_newest(env: Env) -> None:
    @workflow
    async def lasting(round: int) -> None:
        if round < 2:
            continue_as_new(round + 1)
        await wait_for_signal("never")

    run = await env.start_as("lasting", lasting, 1)
    await run.cancel()

    assert await env.handle("lasting~2").status() == "cancelled"
    with pytest.raises(RunEndedError):
        await run.signal("anything")


async def test_a_child_that_continues_is_one_child_to_its_parent(env: Env) -> None:
    @workflow
    async def child(number: int) -> int:
        await sleep("1s")
        if number < 3:
            continue_as_new(number + 1)
        return number

    @workflow
    async def parent() -> int:
        return await child(1)

    assert await env.run(parent) == 3
