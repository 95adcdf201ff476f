"""The smallest workflow: a step, a durable sleep, and the same step again."""

from worldflow import sleep, step, workflow


@step
async def greet(name: str) -> str:
    return f"Hello, {name}!"


@workflow
async def hello(name: str = "World") -> list[str]:
    first = await greet(name)
    await sleep("2s")
    return [first, await greet(f"{name}, again")]
