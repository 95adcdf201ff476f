"""Records of runs: created once, and only ever replaced by what reflects no less of the history."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worldflow.engine.history import Failure
from worldflow.worlds import RunRecord, World

CREATED = datetime(2026, 1, 15, 10, 0, 0, 123_456, tzinfo=UTC)


def record(run_id: str = "r", **fields: Any) -> RunRecord:
    return RunRecord(**{"workflow_name": "w", "created_at": CREATED, "updated_at": CREATED, "run_id": run_id, **fields})


def test_a_record_is_stored_as_it_is(world: World) -> None:
    stored = record(input={"order": {"lines": [1, 2.5, None, "één"]}}, seq=0)

    assert world.create_run(stored) is None
    assert world.get_run("r") == stored


def test_nobody_has_no_record(world: World) -> None:
    assert world.get_run("nobody") is None


def test_a_run_is_created_once(world: World) -> None:
    first = record(input={"n": 1})
    world.create_run(first)

    assert world.create_run(record(input={"n": 2}, workflow_name="other")) == first
    assert world.get_run("r") == first


def test_of_many_who_create_a_run_at_once_one_does(world: World) -> None:
    barrier = threading.Barrier(8)
    answers: list[RunRecord | None] = []

    def create(number: int) -> None:
        barrier.wait()
        answers.append(world.create_run(record(input=number)))

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    stored = world.get_run("r")
    assert answers.count(None) == 1
    assert answers.count(stored) == 7


def test_an_update_replaces_the_record(world: World) -> None:
    world.create_run(record())
    error = Failure(type="builtins:ValueError", message="no", args=["no"])
    failed = record(status="failed", seq=7, ended_at=CREATED + timedelta(days=40), error=error)
    world.update_run(failed)

    assert world.get_run("r") == failed


@pytest.mark.parametrize(
    ("stored", "late", "wins"), [(5, 4, False), (5, 5, True), (5, 6, True), (9, 10, True), (10, 9, False)]
)
def test_an_update_that_reflects_less_of_the_history_changes_nothing(
    world: World, stored: int, late: int, wins: bool
) -> None:
    world.create_run(record())
    world.update_run(record(seq=stored, status="completed", result="first"))
    world.update_run(record(seq=late, status="failed", result="second"))

    found = world.get_run("r")
    assert found and found.result == ("second" if wins else "first")


def test_a_run_that_was_never_created_is_not_updated(world: World) -> None:
    world.update_run(record(seq=3))

    assert world.get_run("r") is None
    assert world.list_runs().runs == []


FULL: dict[str, Any] = {
    "status": "continued",
    "seq": 12,
    "ended_at": CREATED + timedelta(days=1),
    "version": 3,
    "attributes": {"customer": "c1", "total": 3, "rate": 1.0, "vip": True, "gone": False},
    "status_text": "packing 3 of 5, één",
    "reason": "no more",
    "parent": {"run_id": "p~2", "child_id": "c4"},
    "next_run_id": "r~2",
    "fork_of": {"run_id": "q", "after": 7},
    "carried": [{"event_type": "SignalReceived", "signal_id": "s", "value": [1.5, None]}],
    "seen": ["signal/s", "update/u"],
}


def test_a_record_keeps_all_that_a_run_may_have(world: World) -> None:
    full = record(**FULL)
    world.create_run(full)
    assert world.get_run("r") == full

    changed = full.model_copy(update={"seq": 13, "attributes": {}, "status_text": None, "version": 4})
    world.update_run(changed)
    assert world.get_run("r") == changed


def test_what_people_see_of_it(world: World) -> None:
    world.create_run(record(**FULL))
    seen = world.read_run("r").describe()

    assert "carried" not in seen
    assert seen["fork_of"] == {"run_id": "q", "after": 7}
    assert (seen["next_run_id"], seen["parent"]["child_id"]) == ("r~2", "c4")
    bare = record("bare").describe()
    assert not {"attributes", "seen", "parent", "fork_of", "status_text"} & set(bare)


def test_a_field_that_only_newer_code_knows_is_kept(world: World) -> None:
    newer = RunRecord.model_validate({**record().model_dump(), "colour": "blue"})
    world.create_run(newer)

    found = world.get_run("r")
    assert found
    assert found.model_dump()["colour"] == "blue"
