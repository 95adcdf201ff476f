import sys

from worldflow import StepError, step, workflow
from worldflow.testing import WorkflowEnvironment


async def test_in_a_step_it_fails_the_attempt():
    @step
    def leave() -> None:
        sys.exit("bye")

    @workflow
    async def leaving() -> str:
        try:
            await leave()
        except StepError as error:
            return error.type_name
        return "stayed"

    async with WorkflowEnvironment() as env:
        run = await env.start(leaving)
        assert await run.result() == "builtins:SystemExit"


async def test_in_a_workflow_it_blocks_the_run():
    @workflow
    async def leaving() -> None:
        sys.exit("bye")

    async with WorkflowEnvironment() as env:
        run = await env.start(leaving)
        assert await run.status() == "blocked"
        assert "raised SystemExit()" in (await env.world.get_run_status(run.id))["blocked_reason"]
