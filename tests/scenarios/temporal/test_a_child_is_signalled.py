"""A child is a run like any other: who knows its id can signal it."""

from tests.support.scenarios import Env
from worldflow import step, wait_for_signal, workflow


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


async def test_from_outside(env: Env) -> None:
    @workflow
    async def child() -> str:
        return await wait_for_signal("unblock", str)

    @workflow
    async def parent() -> str:
        return await child()

    run = await env.start(parent)
    await env.handle(f"{run.id}~c1").signal("unblock", "from outside")

    assert await run.result() == "from outside"
