"""`in_workflow()` says whether a step that is called would be scheduled."""

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

from tests.support.driver import START, Drive
from tests.support.steps import work
from worldflow import in_workflow, on_update, publish, sleep, step, workflow
from worldflow.engine.history import RunStarted
from worldflow.engine.workflow.execution import Execution
from worldflow.testing import WorkflowEnvironment


def live(flow: Any) -> Execution:
    execution = Execution("run-1", flow)
    execution.apply(RunStarted(run_id="run-1", workflow_name=flow.name), START)
    return execution


@step
async def tells() -> bool:
    return in_workflow()


@step
def tells_in_a_thread() -> bool:
    return in_workflow()


@step(inline=True)
async def tells_inline() -> bool:
    return in_workflow()


async def test_true_in_workflows_and_false_in_steps_and_elsewhere() -> None:
    @workflow
    async def asks_everywhere() -> dict[str, bool]:
        async def helper() -> bool:
            return in_workflow()

        @on_update("ask")
        async def ask() -> bool:
            return in_workflow()

        publish("asked", in_workflow)
        await sleep("1s")
        return {
            "workflow": in_workflow(),
            "task": await asyncio.create_task(helper()),
            "step": await tells(),
            "plain step": await tells_in_a_thread(),
            "inline step": await tells_inline(),
        }

    async with WorkflowEnvironment() as env:
        run = await env.start(asks_everywhere)
        assert await run.update("ask")
        assert await run.query("asked")
        assert await run.result() == {
            "workflow": True,
            "task": True,
            "step": False,
            "plain step": False,
            "inline step": False,
        }
    assert not in_workflow()
    assert not await tells()


def test_true_on_replay(drive: Drive) -> None:
    @workflow
    async def asks_twice() -> list[bool]:
        first = in_workflow()
        await work()
        return [first, in_workflow()]

    run = drive(asks_twice)
    run.complete(work)
    assert run.result() == [True, True]


def test_true_in_what_is_discarded_which_must_do_nothing_for_real() -> None:
    seen: list[bool] = []

    @workflow
    async def waits() -> None:
        try:
            await sleep("1h")
        finally:
            seen.append(in_workflow())

    live(waits).dispose()
    assert seen == [True]


def test_true_in_what_is_collected() -> None:
    seen: list[bool] = []

    def lines() -> Iterator[None]:
        try:
            yield
        finally:
            seen.append(in_workflow())

    @workflow
    async def leaves() -> None:
        generator = lines()
        next(generator)
        cycle: list[Any] = [generator]
        cycle.append(cycle)
        await sleep("1h")

    execution = live(leaves)
    execution.dispose()
    gc.collect()
    assert seen == [True]
