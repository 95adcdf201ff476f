"""Messages that come for a run when it is archived: none runs it again, and none that still counts is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from tests.support.crashes import CrashingWorld, serve, settle
from tests.support.driver import START
from tests.support.local_tables import rows
from worldflow import FatalError, continue_as_new, step, wait_for_signal, workflow
from worldflow.engine.history import CancelRequested, ChildCompleted, ChildFailed, SignalReceived
from worldflow.runtime import firing, schedules, sending, starting
from worldflow.runtime.archive import archive_old_runs
from worldflow.worlds.local.world import LocalWorld
from worldflow.worlds.messages import FactArrived, Poke, Revival, ScheduleDue
from worldflow.worlds.payloads import stash
from worldflow.worlds.schedules import get_schedule, put_schedule

LARGE = "x" * 70_000

begun: list[str] = []
broken = True


@pytest.fixture
def world() -> Iterator[CrashingWorld]:
    begun.clear()
    world = CrashingWorld()
    yield world
    world.close()


@step
async def note(what: str) -> None:
    begun.append(what)


@step
async def break_if_broken() -> None:
    if broken:
        raise FatalError("broken")


@workflow
async def notes(what: str, again: bool = False) -> str:
    await note(what)
    if again:
        continue_as_new(what=f"{what}, again")
    return f"{what}{LARGE}"


@workflow
async def calls(what: str, again: bool = False) -> int:
    return len(await notes(what, again))


@workflow
async def fails_in_a_child(what: str) -> str:
    await note(what)
    raise FatalError("broken")


@workflow
async def catches() -> str:
    try:
        return await fails_in_a_child("child")
    except FatalError as error:
        return f"caught: {error}"


@workflow
async def lasts(what: str) -> str:
    await note(what)
    return await wait_for_signal("end", str)


@workflow
async def leaves_behind() -> None:
    lasts.options(parent_close="abandon").start_detached("child")


@workflow
async def calls_then_breaks() -> str:
    child = asyncio.ensure_future(lasts.options(parent_close="abandon")("child"))
    await break_if_broken()
    return await child


@workflow
async def loops(left: int) -> str:
    said = await wait_for_signal("go", str)
    if left:
        continue_as_new(left=left - 1)
    return said


def pass_time(world: CrashingWorld, days: float = 2) -> None:
    world.time += timedelta(days=days)


def archive(world: CrashingWorld) -> int:
    pass_time(world)
    report = archive_old_runs(world, older_than=timedelta(days=1))
    assert not report.failed
    return report.archived


@contextmanager
def losing(world: CrashingWorld) -> Iterator[None]:
    """Meanwhile the world loses what children tell."""

    def send(messages: Sequence[Any]) -> None:
        kept = [message for message in messages if not isinstance(getattr(message, "fact", None), _TELLS)]
        LocalWorld.send(world, kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "send", send)
        yield


_TELLS = (ChildCompleted, ChildFailed)


@pytest.mark.parametrize("again", [False, True], ids=["one run", "two generations"])
def test_a_parent_that_has_not_heard_of_its_child_is_told_from_the_archive(world: CrashingWorld, again: bool) -> None:
    starting.start(world, "r", calls, {"what": "child", "again": again})
    with losing(world):
        serve(world)
    assert world.get_run("r").status == "running"  # type: ignore[union-attr]
    ran = list(begun)
    assert archive(world) == len(ran)

    world.send([Poke(run_id="r")])
    serve(world)

    assert world.read_run("r").result == len(f"child{', again' if again else ''}{LARGE}")
    assert begun == ran
    archive(world)
    assert rows(world) == {}


def test_a_parent_is_told_from_the_archive_of_what_failed(world: CrashingWorld) -> None:
    starting.start(world, "r", catches)
    with losing(world):
        serve(world)
    assert archive(world) == 1

    world.send([Poke(run_id="r")])
    serve(world)

    assert world.read_run("r").result == "caught: broken"
    assert begun == ["child"]


def test_a_parent_may_be_archived_before_the_child_that_it_left_behind(world: CrashingWorld) -> None:
    starting.start(world, "r", leaves_behind)
    serve(world)
    assert archive(world) == 1

    sending.signal(world, "r~c1", "end", "late")
    serve(world)

    assert world.read_run("r~c1").result == "late"
    assert world.get_run("r") is None
    assert archive(world) == 1
    assert rows(world) == {}


def test_a_redo_of_an_ended_parent_does_not_start_a_child_that_is_archived(world: CrashingWorld) -> None:
    starting.start(world, "r", leaves_behind)
    serve(world)
    sending.signal(world, "r~c1", "end", "soon")
    serve(world)
    pass_time(world)
    child = world.get_run("r~c1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "walk_runs", lambda status, created_before: [child] if status == "completed" else [])
        assert archive(world) == 1
    assert world.get_run("r")

    world.send([Poke(run_id="r")])
    serve(world)

    assert world.get_run("r~c1") is None
    assert begun == ["child"]


def test_what_a_child_tells_a_generation_that_is_archived_goes_to_the_newest(
    world: CrashingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting.start(world, "r", calls_then_breaks)
    serve(world)
    for still_broken in (True, False):
        monkeypatch.setattr(f"{__name__}.broken", still_broken)
        starting.retry(world, "r")
        serve(world)
    assert archive(world) == 1  # the second: the child was started by the first
    assert world.get_run("r~2") is None
    assert world.get_run("r~3").status == "running"  # type: ignore[union-attr]

    for run_id in ("r", "r~2"):
        world.send([FactArrived(run_id=run_id, fact=ChildCompleted(child_id="c1", child_run_id="r~c1", result="told"))])
        serve(world)

    assert world.read_run("r").status == "failed"
    assert world.read_run("r~3").result == "told"


def test_a_signal_or_a_cancellation_for_an_archived_generation_goes_to_the_newest(world: CrashingWorld) -> None:
    starting.start(world, "r", loops, {"left": 2})
    for _ in range(2):
        sending.signal(world, "r", "go", "on")
        serve(world)
    assert archive(world) == 1

    for fact in (SignalReceived(signal_id="late", name="late"), CancelRequested(reason="late")):
        world.send([FactArrived(run_id="r~2", fact=fact)])
    serve(world)

    assert [event.event_type for event in world.read_events("r~3")][-3:] == [
        "SignalReceived",
        "CancelRequested",
        "RunCancelled",
    ]


def test_a_signal_that_was_promised_a_run_starts_one_with_data_of_its_own(world: CrashingWorld) -> None:
    starting.start(world, "r", notes, {"what": "r"})
    serve(world)
    assert archive(world) == 1

    fact = SignalReceived(signal_id="late", name="late")
    revival = Revival(workflow_name="notes", input=stash(world, "r~2", {"what": LARGE}))
    world.send([FactArrived(run_id="r~2", fact=fact, revival=revival)])
    serve(world)

    record = world.get_run("r")
    assert record
    assert record.input["$payload"].startswith("r/")
    assert begun == ["r", LARGE]


def test_a_late_copy_starts_no_run_of_a_schedule_again(world: CrashingWorld) -> None:
    for overlap in ("skip", "allow"):
        schedules.create(world, overlap, notes, {"what": overlap}, schedule="rate(1 hour)", overlap=overlap)
    for hours in (1, 2):
        fire(world, hours)
    ran = sorted(begun)
    assert ran == ["allow", "allow", "skip", "skip"]
    # The process that was to start the last one died before it could say that it had.
    record = get_schedule(world, "skip")
    assert record
    put_schedule(world, record.model_copy(update={"starting": record.last_run_id, "version": "x"}), replacing=record)
    assert archive(world) == 4

    fire(world, 1)

    assert sorted(begun) == ran


def fire(world: CrashingWorld, hours: int) -> None:
    """The schedules are due, for the time so many hours after the start."""
    due = START + timedelta(hours=hours)
    world.time = max(world.time, due)
    for schedule_id in ("skip", "allow"):
        firing.fire(world, ScheduleDue(schedule_id=schedule_id, due=due))
    world._database._db.execute("delete from messages where json_extract(body, '$.kind') = 'schedule_due'")
    settle(world)
