"""Two versions of one workflow: new runs take the newest, old ones keep theirs."""

from tests.support.scenarios import Env
from worldflow import continue_as_new, sleep, wait_for_signal, workflow
from worldflow.engine.workflow import definitions


async def test_a_run_is_pinned_to_its_version(env: Env) -> None:
    @workflow(name="greeting", version=1)
    async def greeting() -> str:
        await sleep("1h")
        return "version 1"

    old = await env.start(greeting)

    @workflow(name="greeting", version=2)
    async def greeting_2() -> str:
        return "version 2"

    await env.restart()
    new = await env.drive(env.orchestrator.start_workflow("new", "greeting"))

    assert await env.handle(new.id).result() == "version 2"
    assert await old.result() == "version 1"


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


async def test_a_version_that_is_not_deployed_here(env: Env) -> None:
    @workflow(name="rolling", version=1)
    async def rolling() -> str:
        await sleep("1h")
        return "version 1"

    run = await env.start(rolling)
    with_version_1 = dict(definitions._workflows._versions)
    definitions._workflows._versions.clear()
    await env.restart()
    await env.advance("2h")
    assert await run.status() == "blocked"

    definitions._workflows._versions.update(with_version_1)
    await env.drive(env.orchestrator.resume(run.id))
    await env.settle()

    assert await run.result() == "version 1"
