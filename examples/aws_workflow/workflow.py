"""The smallest workflow that shows what is durable: a step, ten seconds of sleep, and the step again."""

from worldflow import sleep, step, workflow


@step
async def say_hello(name: str) -> str:
    return f"Hello, {name}!"


@workflow
async def hello_on_aws(name: str) -> list[str]:
    first = await say_hello(name)
    await sleep("10s")  # nothing runs meanwhile
    return [first, await say_hello(f"{name}, again")]
