"""A run with a delay begins when it is due, and keeps until then what is sent to it. A cancelled one never begins."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.crashes import (
    Crash,
    Crashes,
    CrashingWorld,
    When,
    die_at_each_call,
    once,
    persist,
    serve,
    settle,
    whole_history,
)
from tests.support.driver import START
from worldflow import InvalidInputError, now, wait_for_signal, workflow
from worldflow.engine.history import RunCancelled, RunStarted
from worldflow.runtime import Orchestrator, sending, starting
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import Poke, Start

HOUR = timedelta(hours=1)

pytestmark = pytest.mark.usefixtures("quiet")


@workflow
async def starts_later(waits: bool = False) -> list[str]:
    word = await wait_for_signal("word", str) if waits else ""
    return [now().isoformat(), word]


def begun(world: CrashingWorld, run_id: str = "r") -> RunStarted:
    started = world.read_events(run_id)[0]
    assert isinstance(started, RunStarted)
    return started


def test_it_begins_when_it_is_due(world: CrashingWorld) -> None:
    record, _ = starting.start(world, "r", starts_later, delay="1h")
    settle(world)
    waiting = world.read_run("r")
    assert (waiting.status, waiting.start_at, world.read_events("r")) == ("pending", record.start_at, [])

    serve(world)
    assert world.read_run("r").status == "completed"
    assert record.start_at and record.start_at <= begun(world).at < record.start_at + timedelta(seconds=1)
    assert record.start_at - record.created_at == HOUR


def test_it_takes_no_turn_before(world: CrashingWorld) -> None:
    starting.start(world, "r", starts_later, delay="1h")
    settle(world)
    serve(world)
    assert world.calls == ["create_run", "send", "append", "update_run", "acknowledge"]


@pytest.mark.parametrize("zone", [UTC])
def test_a_time_to_start_at(world: CrashingWorld, zone: Any) -> None:
    moment = (START + HOUR).astimezone(zone)
    starting.start(world, "r", starts_later, start_at=moment)
    starting.start(world, "past", starts_later, start_at=START - HOUR)
    settle(world)
    assert world.read_run("past").status == "completed"
    serve(world)
    assert begun(world).start_at == moment
    assert begun(world, "past").start_at is None


def test_signals_that_come_before_are_kept(world: CrashingWorld) -> None:
    record, _ = starting.start(world, "r", starts_later, {"waits": True}, delay="1h")
    sending.signal(world, "r", "word", "early", signal_id="s")
    settle(world)
    assert world.read_run("r").status == "pending"

    serve(world)
    at, word = world.read_run("r").result
    assert word == "early"
    assert record.start_at and datetime.fromisoformat(at) >= record.start_at
    whole_history(world, "r", starts_later)


def test_it_is_announced_when_it_begins(world: CrashingWorld) -> None:
    starting.start(world, "r", starts_later, {"waits": True}, delay="1h")
    sending.signal(world, "r", "word", "early", signal_id="s")
    settle(world)
    assert world.announced == []
    serve(world)
    assert [event.kind for event in world.announced] == ["started", "completed"]


def test_each_of_them_is_held(world: CrashingWorld) -> None:
    starting.start(world, "r", starts_later, {"waits": True}, delay="1h")
    for word in ("one", "two"):
        sending.signal(world, "r", "word", word, signal_id=word)
        settle(world)
    assert [event.held for event in world.read_events("r")] == [True, True, True]
    serve(world)
    assert world.read_run("r").result[1] == "one"


@pytest.mark.parametrize("end", [sending.cancel, sending.terminate])
def test_one_that_is_ended_before_never_runs_its_code(world: CrashingWorld, end: Any) -> None:
    starting.start(world, "r", starts_later, delay="1h")
    end(world, "r", "not needed")
    settle(world)
    record = world.read_run("r")
    assert (record.status, record.reason) == ("cancelled", "not needed")
    assert isinstance(world.read_events("r")[-1], RunCancelled)
    assert world.next_due() is None  # its start was taken back
    serve(world)
    assert world.read_run("r").seq == record.seq


@pytest.mark.parametrize("message", [Start(run_id="r"), Poke(run_id="r")])
def test_a_message_that_comes_early_sends_the_start_again(world: CrashingWorld, message: Any) -> None:
    starting.start(world, "r", starts_later, delay="1h")
    world.cancel_delayed(Start(run_id="r", due=START), START, START)
    world.send([message])
    settle(world)
    assert world.read_run("r").status == "pending"
    serve(world)
    assert world.read_run("r").status == "completed"


def test_the_start_that_a_poke_sends_is_no_copy_of_one_that_came_in_vain(world: CrashingWorld) -> None:
    """The first may have found no code that can run. The clock of the process that gets the poke is slow."""
    record, _ = starting.start(world, "r", starts_later, delay="1h")
    sent: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "send", sent.extend)
        turns = Turns(world)
        turns.take("r", [Poke(run_id="r")])
        turns.close()
    (again,) = sent
    assert again.message.dedup_id != Start(run_id="r", due=record.start_at).dedup_id
    assert again.due == record.start_at


def test_a_start_that_was_never_sent_is_sent_with_the_first_signal() -> None:
    world = CrashingWorld(once(1, "before"))
    with pytest.raises(Crash):
        starting.start(world, "r", starts_later, {"waits": True}, delay="1h")
    sending.signal(world, "r", "word", "early", signal_id="s")
    serve(world)
    assert world.read_run("r").result[1] == "early"
    world.close()


def test_a_start_that_the_queue_says_is_due_begins_the_run(world: CrashingWorld) -> None:
    """The clocks of the queue and of the turn differ. The queue may take a second message for a copy of the first."""
    record, _ = starting.start(world, "r", starts_later, delay="1h")
    turns = Turns(world)
    turns.take("r", [Start(run_id="r", due=record.start_at)])
    turns.close()
    assert begun(world).at == record.start_at


def test_a_second_start_keeps_the_time_of_the_first(world: CrashingWorld) -> None:
    first, _ = starting.start(world, "r", starts_later, delay="1h")
    second, created = starting.start(world, "r", starts_later)
    settle(world)
    assert (second.start_at, created, world.read_run("r").status) == (first.start_at, False, "pending")


def test_a_pending_run_gives_way_to_another(world: CrashingWorld) -> None:
    starting.start(world, "r", starts_later, delay="1h")
    starting.start(world, "r", starts_later, if_running="terminate_existing")
    settle(world)
    assert world.read_run("r").status == "cancelled"
    assert world.read_run("r~2").status == "completed"


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ({"delay": "1h", "start_at": START}, "give delay or start_at"),
        ({"delay": "soon"}, "'soon' is not a duration"),
        ({"delay": -1}, "it must be finite and not negative"),
        ({"delay": "9999999w"}, "after the year 9999"),
        ({"start_at": datetime(2026, 12, 24)}, "a datetime with a time zone"),
    ],
)
def test_what_is_no_time_is_refused(world: CrashingWorld, when: Any, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        starting.start(world, "r", starts_later, **when)
    assert world.get_run("r") is None


def test_an_application_starts_one(world: CrashingWorld) -> None:
    async def main() -> Any:
        return await (await Orchestrator(world).start_workflow("r", starts_later, delay=HOUR)).record()

    assert asyncio.run(main()).status == "pending"


def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "r", starts_later, {"waits": True}, delay="1h"))
    persist(lambda: sending.signal(world, "r", "word", "early", signal_id="s"))
    persist(lambda: starting.start(world, "c", starts_later, delay="1h"))
    persist(lambda: sending.cancel(world, "c"))
    serve(world, live_limit=live_limit)
    return world


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_at_any_call(when: When) -> None:
    def check(world: CrashingWorld) -> None:
        assert world.read_run("r").result[1] == "early", world.crashed
        assert world.read_run("c").status == "cancelled"
        whole_history(world, "r", starts_later)
        whole_history(world, "c", starts_later)

    die_at_each_call(lived, check, when)
