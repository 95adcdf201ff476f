"""`result(timeout)` and `update(timeout)` say what they have waited for in vain."""

import asyncio
from datetime import timedelta

import pytest

from tests.support.crashes import CrashingWorld
from worldflow import on_update, set_status, sleep, wait_for_signal, workflow
from worldflow.runtime import Orchestrator
from worldflow.testing import WorkflowEnvironment
from worldflow.turns.turns import Turns
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
    assert str(caught.value) == "run 'r' has not ended within 500ms: it is still pending"


async def test_while_the_run_waits(world: CrashingWorld, turns: Turns):
    run = await Orchestrator(world).start_workflow("r", approved)
    await asyncio.to_thread(turns.take, "r", [Poke(run_id="r")])
    with pytest.raises(TimeoutError) as caught:
        await run.result(timeout=0.5)
    assert str(caught.value) == "run 'r' has not ended within 500ms: it is still running (waiting for approval)"


async def test_of_an_update(world: CrashingWorld):
    run = await Orchestrator(world).start_workflow("r", approved)
    with pytest.raises(TimeoutError) as caught:
        await run.update("ask", update_id="u1", timeout=0.5)
    assert (
        str(caught.value)
        == "run 'r' has not answered the update 'ask' within 500ms; retry with update_id='u1' to get the answer"
    )


async def test_a_time_limit_of_the_caller_stays_the_callers(world: CrashingWorld):
    run = await Orchestrator(world).start_workflow("r", approved)
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.05):
            await run.result(timeout="1h")
    assert str(caught.value) == ""


@workflow
async def is_late() -> str:
    set_status("asleep")
    await sleep("3h")
    return "late"


async def test_in_a_test_it_is_over_by_the_environments_clock():
    async with WorkflowEnvironment() as env:
        run, began = await env.start(is_late), env.now()
        with pytest.raises(TimeoutError) as caught:
            await run.result(timeout="2h")
        assert str(caught.value) == "run 'test-1' has not ended within 2h: it is still running (asleep)"
        assert env.now() - began == timedelta(hours=2)
        assert await run.result(timeout="2h") == "late"
        assert env.now() - began == timedelta(hours=3)


async def test_in_a_test_nothing_comes_within_the_time():
    async with WorkflowEnvironment() as env:
        run, began = await env.start(approved), env.now()
        with pytest.raises(TimeoutError, match="has not ended within 1d: it is still running"):
            await run.result(timeout="1d")
        assert env.now() - began == timedelta(days=1)
        with pytest.raises(AssertionError, match="waits for something that never arrives"):
            await run.result()


async def test_in_a_test_an_update_is_not_answered_within_the_time():
    async with WorkflowEnvironment() as env:
        run = await env.start(is_late)
        with pytest.raises(TimeoutError, match="has not answered the update 'ask' within 1h; retry with update_id="):
            await run.update("ask", timeout="1h")


async def test_in_a_test_each_of_several_callers_has_a_time_of_its_own():
    async with WorkflowEnvironment() as env:
        late, stuck = await env.start(is_late), await env.start(approved)
        results = await asyncio.gather(
            late.result(timeout="5h"), late.result(timeout="1h"), stuck.result(timeout="4h"), return_exceptions=True
        )
    assert results[0] == "late"
    assert [type(result) for result in results[1:]] == [TimeoutError, TimeoutError]
