"""Code that asks for a step where its history has a wait: nothing is run, and the run waits for the old code."""

from tests.support.scenarios import Env
from worldflow import sleep, step, workflow
from worldflow.worlds.messages import Poke


async def test_a_step_where_a_wait_was(env: Env) -> None:
    changed: list[bool] = []
    ran: list[bool] = []

    @step
    async def work() -> None:
        ran.append(True)

    @workflow
    async def changing() -> str:
        await (work() if changed else sleep("1h"))
        return "done"

    run = await env.start(changing)
    changed.append(True)
    await env.restart()
    await env.advance("2h")

    assert await run.status() == "blocked"
    record = env.world.read_run(run.id)
    assert record.blocked_reason
    assert "NonDeterminismError" in record.blocked_reason
    assert "timer" in record.blocked_reason.lower()
    assert "work" in record.blocked_reason
    assert not ran

    changed.clear()
    await env.restart()
    env.world.send([Poke(run_id=run.id)])
    await env.settle()

    assert await run.result() == "done"
    assert not ran


async def test_another_step_where_a_step_was(env: Env) -> None:
    changed: list[bool] = []

    @step
    async def first() -> str:
        return "first"

    @step
    async def second() -> str:
        return "second"

    @workflow
    async def changing() -> list[str]:
        done = [await (second() if changed else first())]
        await sleep("1h")
        return done

    run = await env.start(changing)
    changed.append(True)
    await env.restart()
    await env.advance("2h")

    assert await run.status() == "blocked"
    assert "NonDeterminismError" in (env.world.read_run(run.id).blocked_reason or "")
