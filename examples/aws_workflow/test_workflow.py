from datetime import timedelta

from examples.aws_workflow.workflow import hello_on_aws
from worldflow.testing import WorkflowEnvironment


async def test_it_sleeps_between_two_steps() -> None:
    async with WorkflowEnvironment() as env:
        begin = env.now()
        run = await env.start(hello_on_aws, "World")
        assert await run.result() == ["Hello, World!", "Hello, World, again!"]
        assert env.now() - begin == timedelta(seconds=10)
