"""Runs that runs start: awaited, started by a step, and what becomes of them when their parent ends first."""

import asyncio
from typing import Any

import pytest

from tests.support.scenarios import Env
from worldflow import FatalError, RetryableError, sleep, step, wait_for_signal, workflow


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


@pytest.mark.parametrize(
    ("policy", "status", "cleaned_up"),
    [("cancel", "cancelled", True), ("terminate", "cancelled", False), ("abandon", "running", False)],
)
async def test_a_policy(env: Env, policy: Any, status: str, cleaned_up: bool) -> None:
    cleaned: list[bool] = []

    @step
    async def clean_up() -> None:
        cleaned.append(True)

    @workflow
    async def child() -> str:
        try:
            return await wait_for_signal("finish", str)
        except asyncio.CancelledError:
            await clean_up()
            raise

    @workflow
    async def parent() -> str:
        task = asyncio.create_task(child.options(parent_close=policy)())
        await sleep("1m")
        return str(task.done())

    run = await env.start(parent)
    await env.advance("2m")

    assert await run.result() == "False"
    handle = env.handle(f"{run.id}~c1")
    assert await handle.status() == status
    assert bool(cleaned) is cleaned_up
    if status == "running":
        await handle.signal("finish", "alone")
        assert await handle.result() == "alone"


async def test_by_its_parent(env: Env) -> None:
    @workflow
    async def child() -> str:
        return await wait_for_signal("unblock", str)

    @step
    async def signal(run_id: str) -> None:
        await env.orchestrator.signal(run_id, "unblock", "by the parent")

    @workflow
    async def parent() -> str:
        run_id = child.start_detached()
        await signal(run_id)
        return run_id

    child_id = await env.run(parent)

    assert await env.handle(child_id).result() == "by the parent"
