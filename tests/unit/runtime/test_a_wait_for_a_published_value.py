"""`wait_published` waits until a workflow publishes a value, and replays no more often than its history grows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.crashes import CrashingWorld, settle
from worldflow import QueryNotFoundError, continue_as_new, publish, wait_for_signal, workflow
from worldflow.engine.workflow.execution import Execution
from worldflow.runtime import Orchestrator
from worldflow.testing import WorkflowEnvironment

pytestmark = pytest.mark.one_python


@workflow
async def publishes_a_total(start_again: bool = False) -> None:
    if start_again:
        await wait_for_signal("again")
        continue_as_new()
    total = await wait_for_signal("total", Any)
    publish("total", (lambda: 1 // 0) if total == "broken" else total)
    await wait_for_signal("end")


async def test_it_comes_while_somebody_waits(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    replays: list[str] = []
    replay = Execution.replay

    def counted(self: Execution, *args: Any, **kwargs: Any) -> Any:
        replays.append(self.run_id)
        return replay(self, *args, **kwargs)

    run = await Orchestrator(world).start_workflow("r", publishes_a_total)
    await asyncio.to_thread(settle, world)
    monkeypatch.setattr(Execution, "replay", counted)
    waiting = asyncio.create_task(run.wait_published("total", int))
    await asyncio.sleep(0.5)
    assert len(replays) == 1 and not waiting.done(), "it looks again and again, and replays once"
    await run.signal("total", 5)
    await asyncio.to_thread(settle, world)
    assert await asyncio.wait_for(waiting, 5) == 5
    with pytest.raises(TimeoutError, match="run 'r' has not published 'sum' within 200ms"):
        await run.wait_published("sum", timeout=0.2)


async def test_it_comes_from_the_next_generation_or_not_at_all() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(publishes_a_total, True)
        waiting = asyncio.create_task(run.wait_published("total"))
        await run.signal("again")
        await run.signal("total", 7)
        assert await waiting == 7
        await run.signal("end")
        assert await run.wait_published("total") == 7, "of a run that has ended"
        with pytest.raises(QueryNotFoundError, match="has not published 'sum'"):
            await run.wait_published("sum")


async def test_what_a_published_function_raises_is_raised() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(publishes_a_total)
        await run.signal("total", "broken")
        with pytest.raises(ZeroDivisionError):
            await run.wait_published("total")
