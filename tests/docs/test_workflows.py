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


class Bank:
    async def rate(self, currency: str) -> float:
        return 1.25


async def test_code_that_is_used_in_workflows_and_elsewhere() -> None:
    from worldflow import in_workflow

    bank = Bank()

    @step
    async def recorded_rate(currency: str) -> float:
        return await bank.rate(currency)

    async def exchange_rate(currency: str) -> float:
        if in_workflow():
            return await recorded_rate(currency)
        return await bank.rate(currency)

    @workflow
    async def convert(amount: float) -> float:
        return amount * await exchange_rate("CHF")

    async with WorkflowEnvironment() as env:
        run = await env.start(convert, 8.0)
        assert await run.result() == 10
        assert "StepCompleted" in [event.event_type for event in await run.events()]
    assert await exchange_rate("CHF") == 1.25
