"""The workflow without AWS, whose ten seconds do not take any: `python -m examples.aws_workflow.demo`."""

from examples.aws_workflow.workflow import hello_on_aws
from examples.showing import show
from worldflow.engine.history import Event
from worldflow.testing import WorkflowEnvironment


async def demo() -> list[Event]:
    async with WorkflowEnvironment() as env:
        run = await env.start(hello_on_aws, "World")
        print(await run.result(), end="\n\n")
        return await run.events()


if __name__ == "__main__":
    show(demo)
