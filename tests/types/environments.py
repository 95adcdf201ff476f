"""Workflows under test."""

from decimal import Decimal
from typing import Any, assert_type

from worldflow import workflow
from worldflow.runtime import Orchestrator
from worldflow.runtime.webhooks import Answer
from worldflow.testing import TestHook, TestRun, WorkflowEnvironment, replay
from worldflow.worlds import LocalWorld, RunRecord


@workflow(name="types_greet")
async def greet(name: str, times: int = 1) -> str:
    return name * times


async def environments() -> None:
    async with WorkflowEnvironment(replay_every_turn=False) as env:
        run = await env.start(greet, "Ada", times=2)
        assert_type(run, TestRun[str])
        assert_type(await run.result(), str)
        assert_type(await run.record(), RunRecord)
        assert_type(await run.query("total", Decimal), Decimal)
        assert_type(await run.update("add", 1, type=int), int)
        (hook,) = await run.hooks()
        assert_type(hook, TestHook)
        assert_type(await env.request(hook.url or "", method="PUT", body={"paid": True}), Answer)
        assert_type(env.run("test-1"), TestRun[Any])
        assert_type(env.orchestrator, Orchestrator)
        assert_type(env.world, LocalWorld)

        await env.start(greet, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await env.start(greet)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert_type(replay("[]"), None)
