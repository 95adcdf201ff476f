"""What a World holds to when a run is sealed: all or nothing, and nobody undoes it or follows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.systems import System
from worldflow.engine.errors import RunArchivedError
from worldflow.worlds import RunRecord, items

pytestmark = pytest.mark.parametrize("system", ["memory", "aws"], indirect=True)


def ended(system: System, run_id: str) -> RunRecord:
    now = system.clock.now()
    record = RunRecord(
        run_id=run_id, workflow_name="w", status="completed", created_at=now, updated_at=now, ended_at=now, seq=3
    )
    assert system.world.create_run(record) is None
    return record


def sealed(record: RunRecord) -> RunRecord:
    return record.model_copy(update={"archived_at": record.created_at + timedelta(days=2)})


def test_a_sealed_record_is_not_written_again(system: System) -> None:
    record = ended(system, "r")
    assert system.world.archive.seal([sealed(record)], None)

    system.world.update_run(record)

    assert system.world.get_run("r") == sealed(record)


def test_it_is_sealed_once_and_as_it_was_read(system: System) -> None:
    one, two = ended(system, "one"), ended(system, "two")
    archive = system.world.archive

    assert not archive.seal([sealed(one), sealed(two.model_copy(update={"seq": 2}))], "one~2")
    assert system.world.get_run("one") == one
    assert system.world.create_run(one.model_copy(update={"run_id": "one~2"})) is None
    assert not archive.seal([sealed(one)], "one~2")
    assert archive.seal([sealed(one)], "one~3")
    assert not archive.seal([sealed(one)], None)


def test_nothing_follows_a_sealed_run_until_it_is_forgotten(system: System) -> None:
    world, record = system.world, ended(system, "r")
    following = record.model_copy(update={"run_id": "r~2"})
    assert world.archive.seal([sealed(record)], "r~2")

    with pytest.raises(RunArchivedError, match="being archived"):
        world.create_run(following)
    assert world.get_run("r~2") is None
    assert list(world.archive.remaining(["r", "r~3"])) == ["r"]

    items.put_generation(world, "r", 4)
    world.archive.forget(["r"], "r", "r~2")
    assert world.get_run("r") is None
    assert items.get_generation(world, "r") == 1
    assert world.create_run(following) is None


def test_a_run_is_not_sealed_if_an_item_exists(system: System) -> None:
    record = ended(system, "r")
    system.world.update_item("streams#r", {"s1": ""}, {})

    assert not system.world.archive.seal([sealed(record)], "r~2", "streams#r")
    assert system.world.get_run("r") == record
    assert system.world.archive.seal([sealed(record)], "r~2", "streams#other")
