"""Versions of a workflow, and a workflow or step that the deployed code does not have."""

from tests.support.scenarios import Env
from worldflow import StepNotFoundError, sleep, step, workflow
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


def undeploy(name: str) -> None:
    definitions._steps._versions.pop(name)


async def test_a_run_of_an_unknown_workflow_waits_for_its_code(env: Env) -> None:
    await env.drive(env.orchestrator.start_workflow("early", workflow_name="of_tomorrow", input={"number": 2}))
    assert env.world.read_run("early").status == "blocked"
    assert "of_tomorrow" in (env.world.read_run("early").blocked_reason or "")

    @step
    async def double(number: int) -> int:
        return 2 * number

    @workflow
    async def of_tomorrow(number: int) -> int:
        return await double(number)

    await env.restart()
    await env.handle("early").signal("anything")

    assert await env.handle("early").result() == 4


async def test_an_unknown_step_can_be_caught(env: Env) -> None:
    @step
    async def ghost() -> None: ...

    @step
    async def lives() -> str:
        return "alive"

    @workflow
    async def haunted() -> list[str]:
        try:
            await ghost()
        except StepNotFoundError as error:
            return [str(error), await lives()]
        return []

    undeploy("ghost")
    message, after = await env.run(haunted)

    assert "ghost" in message
    assert after == "alive"
