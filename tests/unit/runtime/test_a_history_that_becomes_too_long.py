"""A history has an end: a run that would go beyond it fails, and the log warns in time."""

import asyncio
import logging

import pytest

from tests.support.crashes import CrashingWorld, serve
from tests.support.office import Office
from worldflow import continue_as_new, sleep, step, wait_for_signal, workflow, workflow_info
from worldflow.engine.history import ChildFailed, RunFailed, SignalReceived, TerminateRequested
from worldflow.engine.workflow.execution import Execution
from worldflow.runtime import sending, starting
from worldflow.turns.turns import Turns
from worldflow.worlds import items

LIMIT = 20


@step(inline=True)
async def tick(n: int) -> int:
    return n


@workflow
async def chatty() -> int:
    count = 0
    while True:
        await wait_for_signal("more")
        count += 1


@workflow
async def ticking() -> None:
    n = 0
    while True:
        n = await tick(n)


@workflow
async def prudent(n: int = 0) -> int:
    while workflow_info().history_length < LIMIT - 5:
        n = await tick(n + 1)
    if n < 30:
        continue_as_new(n)
    return n


@pytest.fixture
def turns(world: CrashingWorld) -> Turns:
    return Turns(world, history_limit=LIMIT)


def more(number: int) -> SignalReceived:
    return SignalReceived(signal_id=f"{number}", name="more")


def fill(office: Office, turns: Turns, count: int) -> None:
    for number in range(count):
        turns.take("run-1", [office.fact(more(number))])


def ended(world: CrashingWorld) -> RunFailed:
    event = world.load_history("run-1")[-1]
    assert isinstance(event, RunFailed)
    return event


def test_the_fact_beyond_the_end_fails_the_run(world: CrashingWorld, turns: Turns):
    office = Office(world, chatty)
    turns.take("run-1", [office.start()])
    fill(office, turns, LIMIT - 1)
    assert office.status() == "running"
    assert len(office.history()) == LIMIT
    turns.take("run-1", [office.fact(more(LIMIT))])
    assert office.status() == "failed"
    assert ended(world).forced
    assert "20 events; the limit is 20" in ended(world).error.message
    assert ended(world).error.type.endswith(":HistoryLimitError")


def test_all_of_one_batch(world: CrashingWorld, turns: Turns):
    office = Office(world, chatty)
    turns.take("run-1", [office.start(), *(office.fact(more(number)) for number in range(2 * LIMIT))])
    assert office.status() == "failed"
    assert len(office.history()) == LIMIT + 2


def test_a_chain_of_inline_steps_ends_too(world: CrashingWorld, turns: Turns):
    office = Office(world, ticking)
    turns.take("run-1", [office.start()])
    assert office.status() == "failed"
    assert len(office.history()) <= LIMIT + 2


def test_its_history_still_replays(world: CrashingWorld, turns: Turns):
    office = Office(world, ticking)
    turns.take("run-1", [office.start()])
    execution = Execution("run-1", ticking)
    execution.replay(world.load_history("run-1"))
    assert execution.ended


def test_its_parent_is_told(world: CrashingWorld, turns: Turns):
    @workflow
    async def caring() -> str:
        try:
            await ticking()
        except Exception as error:
            return type(error).__name__
        return ""

    starting.start(world, "run-1", caring)
    for _ in range(3):
        deliveries = world.receive("runs")
        turns.take(deliveries[0].message.run_id, [delivery.message for delivery in deliveries])
        world.acknowledge(deliveries)
    assert world.read_run("run-1").result == "HistoryLimitError"
    assert any(isinstance(event, ChildFailed) for event in world.load_history("run-1"))


def test_a_request_to_end_is_heard_at_the_end_too(world: CrashingWorld, turns: Turns):
    office = Office(world, chatty)
    turns.take("run-1", [office.start()])
    fill(office, turns, LIMIT - 1)
    turns.take("run-1", [office.fact(TerminateRequested())])
    assert office.status() == "cancelled"


def test_a_workflow_that_goes_on_in_time_never_comes_there(world: CrashingWorld, turns: Turns):
    starting.start(world, "run-1", prudent)
    serve(world)
    newest = items.get_generation(world, "run-1")
    assert newest > 2
    assert world.read_run(f"run-1~{newest}").result >= 30
    for number in range(2, newest + 1):
        assert len(world.load_history(f"run-1~{number}")) <= LIMIT


def test_the_log_warns_at_a_fifth_and_once(world: CrashingWorld, turns: Turns, caplog: pytest.LogCaptureFixture):
    office = Office(world, chatty)
    with caplog.at_level(logging.WARNING, "worldflow"):
        turns.take("run-1", [office.start()])
        fill(office, turns, 2)
        assert caplog.messages == []
        fill(office, turns, 10)
    assert [message for message in caplog.messages if "is long" in message] == [
        "the history of run run-1 is long: 4 events"
    ]


def test_the_length_that_a_workflow_sees_is_that_of_its_history(world: CrashingWorld):
    @workflow
    async def measuring() -> list[int]:
        lengths = [workflow_info().history_length]
        await asyncio.gather(tick(1), sleep(1))
        lengths.append(workflow_info().history_length)
        await wait_for_signal("more")
        return [*lengths, workflow_info().history_length]

    for live_limit in (0, 200):
        run_id = f"run-{live_limit}"
        starting.start(world, run_id, measuring)
        serve(world, live_limit=live_limit)
        sending.signal(world, run_id, "more")
        serve(world, live_limit=live_limit)
        history = world.load_history(run_id)
        fired = next(event.seq for event in history if event.event_type == "TimerFired")
        heard = next(event.seq for event in history if event.event_type == "SignalReceived")
        assert world.read_run(run_id).result == [1, fired, heard]
