"""The smallest run: one step, no timeout anywhere, and its result."""

from tests.support.scenarios import Env
from worldflow import step, workflow


async def test_echo(env: Env) -> None:
    @step
    async def echo(text: str) -> str:
        return text

    @workflow
    async def echoing() -> list[str]:
        return [await echo("now"), await echo("again")]

    run = await env.start(echoing)

    assert await run.status() == "completed"
    assert await run.result() == ["now", "again"]
