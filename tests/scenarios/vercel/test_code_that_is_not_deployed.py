"""A workflow or a step that the deployed code does not have."""

from tests.support.scenarios import Env
from worldflow import StepNotFoundError, step, workflow
from worldflow.engine.workflow import definitions


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


async def test_an_unknown_step_fails_the_run_that_does_not_catch_it(env: Env) -> None:
    @step
    async def ghost() -> None: ...

    @workflow
    async def helpless() -> None:
        await ghost()

    undeploy("ghost")
    failure = await (await env.start(helpless)).failure()

    assert isinstance(failure, StepNotFoundError)
    assert "ghost" in str(failure)
