"""The code of docs/guide/workflows.md, run."""

from typing import Any

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


async def test_names_that_no_workflow_has() -> None:
    from worldflow import step_info, workflow_info

    async def add(a: int, b: int) -> int:
        return a + b

    operations: dict[str, Any] = {"plus": add, "count": len, "sum": add}

    @step
    async def stages(name: str) -> list[str]:
        return name.split("_and_")

    @step(dynamic=True)
    async def operation(arguments: dict[str, Any]) -> Any:
        perform = operations[step_info().name]
        return await perform(**arguments)

    @workflow(dynamic=True)
    async def pipeline(arguments: dict[str, Any]) -> list[Any]:
        results: list[Any] = []
        for name in await stages(workflow_info().workflow_name):
            results.append(await operation.named(name)(arguments))
        return results

    @workflow
    async def parent() -> list[Any]:
        return await pipeline.named("sum_and_plus")({"a": 3, "b": 4})

    async with WorkflowEnvironment() as env:
        run = await env.start(pipeline.named("plus_and_sum"), {"a": 1, "b": 2})
        assert await run.result() == [3, 3]
        assert await (await env.start(parent)).result() == [7, 7]
