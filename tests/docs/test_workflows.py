"""The code of docs/guide/workflows.md, run."""

from worldflow import sleep, step, workflow
from worldflow.runtime import Orchestrator
from worldflow.testing import WorkflowEnvironment


async def test_the_first_workflow() -> None:
    @step
    async def greet(name: str) -> str:
        return f"Hello, {name}!"

    @workflow
    async def hello(name: str = "World") -> list[str]:
        first = await greet(name)
        await sleep("2s")
        return [first, await greet(f"{name}, again")]

    async with WorkflowEnvironment() as env:
        orchestrator = Orchestrator(env.world)

        run = await orchestrator.start_workflow("hello-1", hello, {"name": "Ada"})

        run = env.run("hello-1")

        await run.result()  # ["Hello, Ada!", "Hello, Ada, again!"]

        assert await run.result() == ["Hello, Ada!", "Hello, Ada, again!"]
