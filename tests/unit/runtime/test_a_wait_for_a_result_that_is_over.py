"""`result(timeout)` and `update(timeout)` say what they have waited for in vain."""

import asyncio

import pytest

from tests.support.crashes import CrashingWorld
from worldflow import on_update, set_status, wait_for_signal, workflow
from worldflow.runtime import Orchestrator
from worldflow.runtime.turns import Turns
from worldflow.worlds.messages import Poke


@workflow
async def approved() -> None:
    @on_update("ask")
    def ask() -> str:
        return "well"

    set_status("waiting for approval")
    await wait_for_signal("approval")


async def test_before_the_run_has_begun(world: CrashingWorld):
    run = await Orchestrator(world).start_workflow("r", approved)
    with pytest.raises(TimeoutError) as caught:
        await run.result(timeout=0.5)
    assert str(caught.value) == "run 'r' has not ended within 500ms: it is pending"


async def test_while_the_run_waits(world: CrashingWorld, turns: Turns):
    run = await Orchestrator(world).start_workflow("r", approved)
    await asyncio.to_thread(turns.take, "r", [Poke(run_id="r")])
    with pytest.raises(TimeoutError) as caught:
        await run.result(timeout=0.5)
    assert str(caught.value) == "run 'r' has not ended within 500ms: it is running (waiting for approval)"


async def test_of_an_update(world: CrashingWorld):
    run = await Orchestrator(world).start_workflow("r", approved)
    with pytest.raises(TimeoutError) as caught:
        await run.update("ask", update_id="u1", timeout=0.5)
    assert str(caught.value) == "run 'r' has not answered the update 'ask' within 500ms; ask again with update_id='u1'"


async def test_a_time_limit_of_the_caller_stays_the_callers(world: CrashingWorld):
    run = await Orchestrator(world).start_workflow("r", approved)
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.05):
            await run.result(timeout="1h")
    assert str(caught.value) == ""
