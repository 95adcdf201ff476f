"""An attempt that has waited for its place begins only if it is still wanted."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.systems import AWSSystem, System, finish, signal, start
from worldflow import RetryPolicy, step, step_info, wait_for_signal, workflow
from worldflow.runtime import sending, starting
from worldflow.turns.turns import Turns
from worldflow.worlds import World, ledger
from worldflow.worlds.messages import RunMessage, StepTask

began: list[tuple[str, int]] = []


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    began.clear()
    yield


def note() -> int:
    began.append((step_info().step_id, step_info().attempt))
    return step_info().attempt


@step(retry=RetryPolicy(max_attempts=3, initial_interval="1s", jitter=0))
async def quiet() -> int:
    return note()


@step(heartbeat_timeout="30s", retry=RetryPolicy(max_attempts=3, initial_interval="1s", jitter=0))
async def aloud() -> int:
    return note()


@workflow
async def waits_for(kind: str) -> int:
    return await (quiet() if kind == "quiet" else aloud())


@workflow
async def gives_up(kind: str) -> str:
    task = asyncio.create_task(quiet() if kind == "quiet" else aloud())
    await wait_for_signal("enough")
    task.cancel()
    await wait_for_signal("end")
    return "without it"


def open_turn(system: System) -> None:
    """The orchestrator is at work and the executor is not."""
    turns = Turns(system.world)
    while received := system.receive("runs"):
        turns.take("r", [one.message for one in received if isinstance(one.message, RunMessage)])
        system.acknowledge(received)
    turns.close()


def pass_time(system: System, minutes: int) -> None:
    """Time passes, with turns."""
    for _ in range(minutes * 6):
        system.clock.forward(system.clock.now() + timedelta(seconds=10))
        open_turn(system)


@pytest.mark.parametrize("kind", ["quiet", "aloud"])
def test_a_step_whose_run_has_ended_does_not_begin(system: System, kind: str) -> None:
    starting.start(system.world, "r", waits_for, {"kind": kind})
    open_turn(system)
    pass_time(system, minutes=1)
    sending.terminate(system.world, "r")
    open_turn(system)
    assert system.world.read_run("r").status == "cancelled"
    system.settle()
    assert began == []


@pytest.mark.parametrize("kind", ["quiet", "aloud"])
def test_a_step_that_nobody_waits_for_does_not_begin(system: System, kind: str) -> None:
    starting.start(system.world, "r", gives_up, {"kind": kind})
    open_turn(system)
    pass_time(system, minutes=1)
    sending.signal(system.world, "r", "enough")
    open_turn(system)
    system.settle()
    assert began == []
    signal(system, "r", "end")
    assert finish(system, "r").result == "without it"


def test_heartbeats_count_from_the_begin_of_an_attempt(system: System) -> None:
    starting.start(system.world, "r", waits_for, {"kind": "aloud"})
    open_turn(system)
    pass_time(system, minutes=10)
    assert [event.event_type for event in system.world.load_history("r")] == ["RunStarted", "StepScheduled"]
    assert finish(system, "r").result == 1
    assert began == [("s1", 1)]


def test_an_attempt_that_began_and_fell_silent_fails_and_the_next_begins(system: System) -> None:
    starting.start(system.world, "r", waits_for, {"kind": "aloud"})
    open_turn(system)
    pass_time(system, minutes=10)
    (held,) = system.receive("steps")
    assert isinstance(held.message, StepTask)
    assert ledger.begin(system.world, "r", "s1", 1)
    silent_since = system.clock.now()
    assert finish(system, "r").result == 2
    assert timedelta(seconds=30) < system.clock.now() - silent_since < timedelta(seconds=64)


def test_the_task_of_an_attempt_that_fell_silent_does_not_begin_when_it_comes_again(system: System) -> None:
    starting.start(system.world, "r", waits_for, {"kind": "aloud"})
    open_turn(system)
    held = system.receive("steps")
    assert ledger.begin(system.world, "r", "s1", 1)
    assert finish(system, "r").result == 2
    system.reject(held)
    system.settle()
    assert began == [("s1", 2)]


def test_the_sweep_sends_a_task_again_that_was_lost(system: System) -> None:
    starting.start(system.world, "r", waits_for, {"kind": "aloud"})
    open_turn(system)
    system.acknowledge(system.receive("steps"))
    pass_time(system, minutes=10)
    sending.resume(system.world, "r")
    assert finish(system, "r").result == 1


def test_an_attempt_begins_once_more_with_what_it_had_said(world: World) -> None:
    assert ledger.begin(world, "r", "s1", 1)
    beat = ledger.last_beat(world, "r", "s1", 1)
    assert beat and beat.details is None
    ledger.beat(world, "r", "s1", 1, {"page": 3})
    assert ledger.begin(world, "r", "s1", 1)
    again = ledger.last_beat(world, "r", "s1", 1)
    assert again and again.details == {"page": 3} and again.at > beat.at


def test_what_is_not_wanted_is_told_to_whoever_would_begin_it(world: World) -> None:
    assert not ledger.is_abandoned(world, "r", "s1", 1)
    ledger.begin(world, "r", "s1", 1)
    assert not ledger.is_abandoned(world, "r", "s1", 1)
    ledger.abandon(world, "r", "s1", 1)
    assert ledger.is_abandoned(world, "r", "s1", 1)
    assert not ledger.begin(world, "r", "s1", 1)
    assert not ledger.is_abandoned(world, "r", "s1", 2)
    ledger.abandon(world, "r", "s2", 1)
    assert ledger.last_beat(world, "r", "s2", 1) is None
    assert not ledger.begin(world, "r", "s2", 1)


@step(heartbeat_timeout="30s", retry=RetryPolicy(max_attempts=4, initial_interval="1s", jitter=0))
async def pages() -> list[object]:
    seen.append(step_info().heartbeat_details)
    if step_info().attempt == 1:
        step_info().heartbeat(7)
    if step_info().attempt < 4:
        raise ConnectionError
    return seen


seen: list[object] = []


@workflow
async def reads_pages() -> list[object]:
    return await pages()


def test_attempts_that_say_nothing_leave_what_the_one_before_had_said(system: System) -> None:
    seen.clear()
    start(system, "r", reads_pages)
    assert finish(system, "r").result == [None, 7, 7, 7]


def test_what_waited_costs_one_read(aws: AWSSystem) -> None:
    for seconds, expected in ((1, []), (60, ["dynamodb.GetItem"])):
        run_id = f"r{seconds}"
        starting.start(aws.world, run_id, waits_for, {"kind": "quiet"})
        aws.poll("runs")
        aws.clock.forward(aws.clock.now() + timedelta(seconds=seconds))
        aws.stack.requests.clear()
        aws.poll("steps")
        assert aws.stack.requests == [*expected, "dynamodb.PutItem", "sqs.SendMessageBatch"]
