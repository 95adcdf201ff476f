"""A step that says nothing for too long has failed, and one that nobody wants learns of it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.support.crashes import CrashingWorld, serve
from tests.support.driver import Chance
from tests.support.office import Office, lose_steps, next_turn, opened, wakes
from worldflow import RetryPolicy, sleep, step, step_info, workflow
from worldflow.engine.history import StepFailed
from worldflow.engine.workflow.step_info import StepInfo
from worldflow.runtime import sending, starting
from worldflow.turns.turns import Turns
from worldflow.worlds import ledger
from worldflow.worlds.messages import HeartbeatDue

pytestmark = pytest.mark.usefixtures("quiet")

RETRY = RetryPolicy(max_attempts=2, initial_interval="10s", jitter=0)
ran: list[Any] = []


@step(heartbeat_timeout="30s", retry=RETRY)
async def beating_work() -> Any:
    info = step_info()
    ran.append((info.attempt, info.heartbeat_details))
    info.heartbeat({"page": len(ran)})
    return "done"


@workflow
async def beating_run() -> str:
    try:
        return await beating_work()
    except TimeoutError as error:
        return f"silent: {error}"


@pytest.fixture(autouse=True)
def _fresh() -> None:
    ran.clear()


@pytest.fixture
def turns(world: CrashingWorld) -> Turns:
    return Turns(world, chance=Chance(0.5))


def beat(world: CrashingWorld, details: Any = None, attempt: int = 1) -> bool:
    return ledger.beat(world, "run-1", "s1", attempt, details)


def test_while_it_beats_it_goes_on(world: CrashingWorld, turns: Turns):
    office = opened(world, turns, beating_run)
    lose_steps(world)
    begun = world.time
    for _ in range(5):
        world.time += timedelta(seconds=20)
        assert beat(world)
        due = world.next_due()
        if due and due <= world.time + timedelta(seconds=20):
            next_turn(world, turns)
    assert world.time - begun > timedelta(seconds=90)
    assert office.history() == ["RunStarted", "StepScheduled"]
    while office.history()[-1] == "StepScheduled":
        next_turn(world, turns)
    failed = world.load_history("run-1")[-2]
    assert isinstance(failed, StepFailed)
    assert "no heartbeat for 30s" in failed.error.message


def test_it_is_found_out_no_later_than_its_time_after_the_last_beat(world: CrashingWorld, turns: Turns):
    office = opened(world, turns, beating_run)
    lose_steps(world)
    world.time += timedelta(seconds=20)
    beat(world)
    last = world.time
    while office.history()[-1] == "StepScheduled":
        next_turn(world, turns)
    assert timedelta(seconds=30) <= world.time - last < timedelta(seconds=31)


def test_the_next_attempt_finds_what_the_last_said(world: CrashingWorld, turns: Turns):
    opened(world, turns, beating_run)
    lose_steps(world)
    beat(world, {"page": 6})
    beat(world, {"page": 7})
    next_turn(world, turns)
    serve(world)
    assert world.read_run("run-1").result == "done"
    assert ran == [(2, {"page": 7})]


def test_a_step_that_ends_is_watched_no_more(world: CrashingWorld):
    Office(world, beating_run)
    serve(world)
    assert world.read_run("run-1").result == "done"
    assert world.next_due() is None


def test_a_watch_of_an_attempt_that_is_over_does_nothing(world: CrashingWorld, turns: Turns):
    office = opened(world, turns, beating_run)
    ((watch, _),) = wakes(office, HeartbeatDue)
    world.time += timedelta(minutes=1)
    turns.take("run-1", [office.failed("s1", OSError())])
    history = office.history()
    office.taken()
    turns.take("run-1", [watch])
    assert office.history() == history
    assert office.kinds() == []


def test_the_attempt_that_was_given_up_learns_of_it(world: CrashingWorld, turns: Turns):
    office = opened(world, turns, beating_run)
    ((watch, _),) = wakes(office, HeartbeatDue)
    beat(world)
    world.time += timedelta(minutes=1)
    turns.take("run-1", [watch])
    assert not beat(world)
    assert beat(world, attempt=2)


def test_a_step_that_nobody_waits_for_learns_of_it(world: CrashingWorld, turns: Turns):
    @workflow
    async def impatient() -> str:
        try:
            async with asyncio.timeout(10):
                return str(await beating_work())
        except TimeoutError:
            await sleep("1d")
            return "gone"

    office = opened(world, turns, impatient)
    lose_steps(world)
    assert beat(world)
    next_turn(world, turns)
    assert "StepAbandoned" in office.history()
    assert not beat(world)
    with pytest.raises(asyncio.CancelledError):
        heartbeat_of(world)


def heartbeat_of(world: CrashingWorld) -> None:
    """What a step sees that beats once more."""
    StepInfo("run-1", "s1", 1, _beat=lambda value: ledger.beat(world, "run-1", "s1", 1, value)).heartbeat()


def test_a_run_that_ends_tells_its_steps(world: CrashingWorld, turns: Turns):
    office = opened(world, turns, beating_run)
    lose_steps(world)
    sending.terminate(world, "run-1")
    serve(world)
    assert office.status() == "cancelled"
    assert not beat(world)


def test_a_beat_that_nobody_looked_at_is_no_reason_to_look_twice(world: CrashingWorld, turns: Turns):
    """A watch that comes twice does not make two of every one that follows."""
    office = opened(world, turns, beating_run)
    ((watch, _),) = wakes(office, HeartbeatDue)
    office.taken()
    world.time += timedelta(seconds=20)
    beat(world)
    turns.take("run-1", [watch])
    turns.take("run-1", [watch])
    dues = [message for message in office.taken() if isinstance(message, HeartbeatDue)]
    assert len({message.dedup_id for message in dues}) == 1


def test_a_fork_gives_its_step_all_its_time(world: CrashingWorld, turns: Turns):
    opened(world, turns, beating_run)
    lose_steps(world)
    world.time += timedelta(days=1)
    starting.fork(world, "run-1", "fork-1", after=1)
    serve(world)
    assert world.read_run("fork-1").result == "done"
    assert (1, None) in ran
