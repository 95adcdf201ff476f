"""A run that continues as new: one run to those outside."""

from tests.support.scenarios import Env
from worldflow import (
    continue_as_new,
    set_attributes,
    sleep,
    wait_for_signal,
    workflow,
)


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


async def test_a_new_generation_takes_the_newest(env: Env) -> None:
    @workflow(name="lasting", version=1)
    async def lasting(rounds: int) -> str:
        await wait_for_signal("next")
        continue_as_new(rounds + 1)

    run = await env.start_as("lasting", lasting, 1)

    @workflow(name="lasting", version=2)
    async def lasting_2(rounds: int) -> str:
        return f"version 2 in round {rounds}"

    await env.restart()
    await run.signal("next")

    assert await run.result() == "version 2 in round 2"
