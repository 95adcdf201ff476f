"""Runs that runs start: from a step, as any application does, and awaited by the workflow itself."""

import asyncio
from typing import Any

import pytest

from tests.support.scenarios import Env
from worldflow import FatalError, RetryableError, RunCancelledError, sleep, step, wait_for_signal, workflow


class ChildError(Exception):
    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@step(name="vercel.double")
async def double(number: int) -> int:
    return number * 2


@workflow(name="vercel.child")
async def child(number: int) -> dict[str, int]:
    return {"doubled": await double(number), "original": number}


async def test_a_run_that_a_step_starts(env: Env) -> None:
    @step
    async def spawn(number: int) -> str:
        return (await env.orchestrator.start_workflow("spawned", child, {"number": number})).id

    @step
    async def outcome(run_id: str) -> Any:
        record = env.world.read_run(run_id)
        if not record.ended:
            raise RetryableError("not yet", retry_after="1s")
        return record.result

    @workflow
    async def parent(number: int) -> Any:
        run_id = await spawn(number)
        return {"child": run_id, "result": await outcome(run_id)}

    assert await env.run(parent, 42) == {"child": "spawned", "result": {"doubled": 84, "original": 42}}
    assert env.world.read_run("spawned").status == "completed"


async def test_a_run_that_a_workflow_awaits(env: Env) -> None:
    @workflow
    async def parent(number: int) -> dict[str, int]:
        return await child(number)

    run = await env.start(parent, 21)

    assert await run.result() == {"doubled": 42, "original": 21}
    assert (await env.handle(f"{run.id}~c1").result())["doubled"] == 42


async def test_children_at_the_same_time(env: Env) -> None:
    @workflow
    async def family() -> list[int]:
        results = await asyncio.gather(*(child(number) for number in range(5)))
        return [result["doubled"] for result in results]

    assert await env.run(family) == [0, 2, 4, 6, 8]


async def test_an_error_of_a_child_is_raised_as_what_it_is(env: Env) -> None:
    @workflow
    async def failing_child() -> None:
        await sleep("1m")
        raise ChildError("the child failed", code=5)

    @workflow
    async def parent() -> list[Any]:
        try:
            await failing_child()
        except ChildError as error:
            return [str(error), error.code]
        return []

    assert await env.run(parent) == ["the child failed", 5]


async def test_a_step_of_a_child_fails(env: Env) -> None:
    @step
    async def refuses() -> None:
        raise FatalError("no")

    @workflow
    async def inner() -> None:
        await refuses()

    @workflow
    async def middle() -> None:
        await inner()

    @workflow
    async def outer() -> None:
        await middle()

    run = await env.start(outer)
    failure = await run.failure()

    assert (type(failure), str(failure)) == (FatalError, "no")
    assert [env.world.read_run(f"{run.id}{suffix}").status for suffix in ("", "~c1", "~c1~c1")] == ["failed"] * 3


async def test_cancelling_the_parent_cancels_its_child(env: Env) -> None:
    @workflow
    async def waiting_child() -> str:
        try:
            return await wait_for_signal("never")
        finally:
            await double(1)

    @workflow
    async def parent() -> str:
        return await waiting_child()

    run = await env.start(parent)
    await run.cancel()
    with pytest.raises(RunCancelledError):
        await run.result()
    await env.settle()

    offspring = env.handle(f"{run.id}~c1")
    assert await offspring.status() == "cancelled"
    assert await offspring.steps() == ["vercel.double"]


async def test_a_cancelled_child_in_its_parent(env: Env) -> None:
    @workflow
    async def waiting_child() -> str:
        return await wait_for_signal("never")

    @workflow
    async def parent() -> str:
        try:
            return await waiting_child()
        except RunCancelledError as error:
            return f"cancelled: {error.run_id}"

    run = await env.start(parent)
    await env.handle(f"{run.id}~c1").cancel()

    assert await run.result() == f"cancelled: {run.id}~c1"


async def test_a_race_between_children(env: Env) -> None:
    @workflow
    async def takes(seconds: float) -> float:
        await sleep(seconds)
        return seconds

    @workflow
    async def race() -> float:
        tasks = [asyncio.create_task(takes(seconds)) for seconds in (300, 10, 200)]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.wait(pending)
        return done.pop().result()

    run = await env.start(race)

    assert await run.result() == 10
    await env.settle()
    assert [await env.handle(f"{run.id}~c{number}").status() for number in (1, 2, 3)] == [
        "cancelled",
        "completed",
        "cancelled",
    ]


async def test_a_child_that_is_started_and_left_alone(env: Env) -> None:
    @workflow
    async def long_child(number: int) -> int:
        await sleep("1h")
        return number

    @workflow
    async def parent() -> list[str]:
        return [long_child.start_detached(number) for number in range(3)]

    run_ids = await env.run(parent)

    assert len(set(run_ids)) == 3
    assert [await env.handle(run_id).status() for run_id in run_ids] == ["running"] * 3
    assert [await env.handle(run_id).result() for run_id in run_ids] == [0, 1, 2]


async def test_a_child_with_an_id_of_its_own(env: Env) -> None:
    @workflow
    async def parent() -> dict[str, int]:
        return await child.options(run_id="chosen")(4)

    assert (await env.run(parent))["doubled"] == 8
    assert env.world.read_run("chosen").status == "completed"
