"""What a LocalWorld makes of a schedule: one waiting message, for the moment that comes next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.schedules import create, fire_next, run_id, started, wait_for
from tests.support.systems import LocalSystem, local_system
from worldflow.runtime import firing, schedules
from worldflow.worlds import LocalWorld
from worldflow.worlds.messages import ScheduleDue

pytestmark = pytest.mark.time_of_day


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalSystem]:
    with local_system(tmp_path / "runs.db") as system:
        yield system


def first_due(local: LocalSystem) -> datetime:
    due = schedules.get(local.world, "nightly").next_due(local.clock.now())
    assert due
    return due


def waiting(world: LocalWorld) -> list[datetime]:
    return [datetime.fromisoformat(due) for (due,) in world._rows("select body ->> '$.due' from messages")]


def test_one_message_waits_whatever_is_asked_for(local: LocalSystem) -> None:
    create(local)
    create(local)
    for paused in (True, False, False):
        schedules.update(local.world, "nightly", paused=paused)
    assert waiting(local.world) == [first_due(local)]

    due = fire_next(local)
    for _ in range(3):
        firing.fire(local.world, ScheduleDue(schedule_id="nightly", due=due))
    local.settle()
    assert waiting(local.world) == [due + timedelta(days=1)]


def test_after_days_without_a_worker_one_run_is_late_and_the_next_is_on_time(local: LocalSystem) -> None:
    create(local, overlap="allow")
    due = first_due(local)
    local.clock.forward(due + timedelta(days=3, hours=1))
    local.settle()

    assert [run.run_id for run in started(local.world)] == [run_id(due)]
    assert waiting(local.world) == [due + timedelta(days=4)]


def test_a_message_that_is_due_outlives_a_change(local: LocalSystem) -> None:
    create(local)
    due = first_due(local)
    local.clock.forward(due + timedelta(seconds=1))
    schedules.update(local.world, "nightly", input={"count": 3})
    local.settle()

    assert [run.run_id for run in started(local.world)] == [run_id(due)]
    wait_for(local, days=1)
    assert len(started(local.world)) == 2


def test_a_schedule_is_in_the_file(local: LocalSystem) -> None:
    record = create(local)
    other = LocalWorld(local.world.path, clock=local.clock.now)
    try:
        assert schedules.get(other, "nightly") == record
        assert [found.schedule_id for found in schedules.list_page(other).schedules] == ["nightly"]
    finally:
        other.close()


def test_a_message_that_cannot_be_handled_stops_none_after_it(
    local: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(local)
    due = first_due(local)
    with monkeypatch.context() as patch:
        patch.setattr(LocalWorld, "create_run", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
        fire_next(local)
    assert waiting(local.world) == [due, due + timedelta(days=1)]
    wait_for(local, days=1)

    assert [run.run_id for run in started(local.world)] == [run_id(due), run_id(due + timedelta(days=1))]
