"""A look at what a run knows, which changes nothing."""

import pytest

from tests.support.scenarios import Env
from worldflow import QueryNotFoundError, publish, step, wait_for_signal, workflow


async def test_while_it_runs_and_after(env: Env) -> None:
    @workflow
    async def counting() -> int:
        count = 0
        publish("count", lambda: count)
        while count < 2:
            await wait_for_signal("more")
            count += 1
        return count

    run = await env.start(counting)
    counts = [await run.query("count")]
    for number in range(2):
        await run.signal("more", signal_id=str(number))
        counts.append(await run.query("count"))

    assert counts == [0, 1, 2]


async def test_a_plain_value(env: Env) -> None:
    @step
    async def work() -> str:
        return "done"

    @workflow
    async def working() -> None:
        publish("stage", "at work")
        await work()
        publish("stage", "waiting")
        await wait_for_signal("end")

    run = await env.start(working)

    assert await run.query("stage") == "waiting"


async def test_nothing_is_written_and_no_step_is_run(env: Env) -> None:
    ran: list[int] = []

    @step
    async def work() -> str:
        ran.append(1)
        return "done"

    @workflow
    async def working() -> None:
        publish("result", await work())
        await wait_for_signal("end")

    run = await env.start(working)
    before = await run.kinds()

    assert [await run.query("result") for _ in range(3)] == ["done"] * 3
    assert await run.kinds() == before
    assert ran == [1]


async def test_a_name_that_nobody_published(env: Env) -> None:
    @workflow
    async def working() -> None:
        publish("known", 1)
        await wait_for_signal("end")

    run = await env.start(working)

    with pytest.raises(QueryNotFoundError, match="unknown"):
        await run.query("unknown")


async def test_an_error_of_the_query_does_not_hurt_the_run(env: Env) -> None:
    @workflow
    async def working() -> str:
        publish("broken", lambda: 1 // 0)
        await wait_for_signal("end")
        return "unhurt"

    run = await env.start(working)
    with pytest.raises(ZeroDivisionError):
        await run.query("broken")
    await run.signal("end")

    assert await run.result() == "unhurt"


async def test_nobody_serves_the_queue(env: Env) -> None:
    """A query is answered in the caller's process: it needs no worker, and sees what has been committed."""

    @workflow
    async def working() -> None:
        publish("stage", "waiting")
        await wait_for_signal("end")

    run = await env.start(working)
    await env.orchestrator.signal(run.id, "end")  # which no worker takes

    assert await run.query("stage") == "waiting"
