"""A file of a `LocalWorld` of version 0.3.0 or before, which had a table for each kind of item."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from worldflow.engine.history import StepCompleted
from worldflow.worlds import LocalWorld, items, ledger
from worldflow.worlds.messages import StepOutcome
from worldflow.worlds.records import HookRecord
from worldflow.worlds.schedule_records import ScheduleRecord
from worldflow.worlds.schedules import get_schedule, list_schedules

AT = datetime(2026, 11, 1, tzinfo=UTC)
HOOK = HookRecord(token="door", run_id="r#1", hook_id="h1", metadata={"ä": 1})
OUTCOME = StepOutcome(run_id="r#1", fact=StepCompleted(step_id="s1", attempt=2, result="ä"), call="abc")
SCHEDULE = ScheduleRecord(
    schedule_id="daily",
    workflow="w",
    schedule="rate(1 day)",
    created_at=AT,
    updated_at=AT,
    counts_from=AT,
    version="v7",
)

TABLES = """
create table outcomes (id text primary key, outcome text) without rowid;
create table claims (id text primary key) without rowid;
create table beats (id text primary key, at text, details text, abandoned integer default 0) without rowid;
create table generations (base text primary key, number integer) without rowid;
create table hooks (token text primary key, run_id text, hook text) without rowid;
create table schedules (id text primary key, version text, record text) without rowid;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "runs.db"
    db = sqlite3.connect(path)
    db.executescript(TABLES)
    with db:
        db.execute("insert into outcomes values ('r#1#s1/2', ?)", (OUTCOME.model_dump_json(),))
        db.execute("insert into claims values ('r#1#s1/2')")
        beats = [
            ("r#1#s2/1", "2026-11-01T00:00:00.000000+00:00", b'{"done":3}', 0),
            ("r#1#s3/1", "2026-11-01T00:00:00.000000+00:00", "null", 1),
            ("r#1#s4/10", None, None, 1),
        ]
        db.executemany("insert into beats values (?, ?, ?, ?)", beats)
        db.execute("insert into generations values ('r#1', 12)")
        db.execute("insert into hooks values ('door', 'r#1', ?)", (HOOK.model_dump_json(exclude_none=True),))
        db.execute("insert into schedules values ('daily', 'v7', ?)", (SCHEDULE.model_dump_json(exclude_none=True),))
    db.close()
    return path


@pytest.fixture
def world(path: Path) -> Iterator[LocalWorld]:
    LocalWorld(path).close()  # moves what is there
    world = LocalWorld(path)  # and finds nothing left to move
    yield world
    world.close()


def test_what_it_has_is_there(world: LocalWorld) -> None:
    assert ledger.get_outcome(world, "r#1", "s1", 2) == OUTCOME
    assert items.get_generation(world, "r#1") == 12
    assert items.get_hook(world, "door") == HOOK
    assert get_schedule(world, "daily") == SCHEDULE
    assert list_schedules(world, 5, "") == [SCHEDULE]
    assert list_schedules(world, 5, "daily") == []


def test_heartbeats_and_what_is_abandoned(world: LocalWorld) -> None:
    beats = [ledger.last_beat(world, "r#1", *attempt) for attempt in (("s2", 1), ("s3", 1), ("s4", 10))]
    assert [beat and (beat.at, beat.details) for beat in beats] == [(AT, {"done": 3}), (AT, None), None]
    assert [ledger.is_abandoned(world, "r#1", step, n) for step, n in (("s2", 1), ("s3", 1), ("s4", 10))] == [
        False,
        True,
        True,
    ]


def test_what_it_says_still_holds(world: LocalWorld) -> None:
    other = StepOutcome(run_id="r#1", fact=StepCompleted(step_id="s1", attempt=2, result="other"), call="abc")
    assert ledger.put_outcome(world, other) == OUTCOME
    assert not ledger.claim(world, "r#1", "s1", 2)
    assert ledger.claim(world, "r#1", "s1", 3)
    assert not items.put_hook(world, HOOK.model_copy(update={"run_id": "r2"}))
    items.put_generation(world, "r#1", 11)
    assert items.get_generation(world, "r#1") == 12


def test_the_old_tables_are_gone(world: LocalWorld) -> None:
    names = {name for (name,) in world._rows("select name from sqlite_master where type = 'table'")}
    assert "items" in names
    assert not names & {"outcomes", "claims", "beats", "generations", "hooks", "schedules"}
