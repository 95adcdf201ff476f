"""Starts of a workflow with a batch become one run, which gets the items of all of them."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.crashes import Crashes, CrashingWorld, When, die_at_each_call, persist, serve, settle, whole_history
from worldflow import Batch, ConfigurationError, InvalidInputError, Throttle, workflow
from worldflow.runtime import schedules, starting
from worldflow.runtime.archive import archive_old_runs
from worldflow.worlds import gathering
from worldflow.worlds.messages import ScheduleDue

pytestmark = pytest.mark.usefixtures("quiet")


@workflow(batch=Batch(3, wait="10s", key=lambda rows: rows[0] % 2))
async def in_batches(rows: list[int]) -> list[int]:
    return rows


@workflow(batch=Batch(100, wait="10s"))
async def in_large_batches(rows: list[str]) -> int:
    return len(rows)


@workflow(batch=Batch(2, wait="10s"), throttle=Throttle("1/1m"))
async def in_throttled_batches(rows: list[int]) -> list[int]:
    return rows


@workflow
async def parent_of_a_batch() -> list[int]:
    return await in_batches([1, 2, 3, 4])


def begin(world: CrashingWorld, run_id: str, *rows: Any, flow: Any = in_batches) -> str:
    return starting.start(world, run_id, flow, {"rows": list(rows)})[0].run_id


def results(world: CrashingWorld) -> dict[str, Any]:
    return {record.run_id: world.read_run(record.run_id).result for record in world.list_runs().runs}


def test_it_runs_when_it_is_full(world: CrashingWorld) -> None:
    assert [begin(world, name, row) for name, row in (("a", 1), ("b", 3), ("c", 5), ("d", 7))] == ["a", "a", "a", "d"]
    settle(world)
    assert results(world) == {"a": [1, 3, 5], "d": None}
    serve(world)
    assert results(world) == {"a": [1, 3, 5], "d": [7]}
    whole_history(world, "a", in_batches)


def test_it_runs_when_the_wait_is_over(world: CrashingWorld) -> None:
    begin(world, "a", 1)
    world.time += timedelta(seconds=9)
    settle(world)
    begin(world, "b", 3)
    serve(world)
    assert results(world) == {"a": [1, 3]}
    record = world.read_run("a")
    assert record.ended_at and record.ended_at - record.created_at < timedelta(seconds=11)


def test_a_start_may_bring_several_items(world: CrashingWorld) -> None:
    begin(world, "a", 1, 3)
    begin(world, "b", 5, 7)
    settle(world)
    assert results(world) == {"a": [1, 3, 5, 7]}
    begin(world, "c", 1, 3, 5)
    settle(world)
    assert results(world)["c"] == [1, 3, 5]


def test_each_key_has_its_batch(world: CrashingWorld) -> None:
    begin(world, "a", 1)
    begin(world, "b", 2)
    begin(world, "c", 3)
    serve(world)
    assert results(world) == {"a": [1, 3], "b": [2]}


def test_a_start_that_is_repeated_is_in_it_once(world: CrashingWorld) -> None:
    begin(world, "a", 1)
    for _ in range(3):
        begin(world, "b", 3)
    serve(world)
    assert begin(world, "b", 3) == "a"
    assert results(world) == {"a": [1, 3]}


def test_a_parent_gives_its_child_a_whole_batch(world: CrashingWorld) -> None:
    starting.start(world, "r", parent_of_a_batch)
    settle(world)
    assert world.read_run("r").result == [1, 2, 3, 4]


def test_large_inputs_are_gathered(world: CrashingWorld) -> None:
    for number in range(3):
        begin(world, f"r{number}", "x" * 100_000, flow=in_large_batches)
    serve(world)
    assert results(world) == {"r0": 3}


def test_a_batch_does_not_become_too_large(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "BYTES", 2_000)
    assert [begin(world, f"r{n}", "x" * 900, flow=in_large_batches) for n in range(4)] == ["r0", "r0", "r0", "r3"]


def test_a_schedule_starts_it(world: CrashingWorld) -> None:
    record, _ = schedules.create(world, "often", in_batches, {"rows": [1]}, schedule="rate(1 minute)", overlap="allow")
    starting.start(world, ScheduleDue(schedule_id="often", due=record.created_at).run_id, "in_batches", {"rows": [1]})
    assert begin(world, "b", 3) == ScheduleDue(schedule_id="often", due=record.created_at).run_id


def test_its_starts_are_removed_with_it(world: CrashingWorld) -> None:
    begin(world, "a", 1)
    begin(world, "b", 3)
    serve(world)
    assert len(gathering.load(world, "a")) == 2
    world.time += timedelta(days=9)
    archive_old_runs(world, older_than=timedelta(days=2))
    assert world.get_run("a") is None
    assert gathering.load(world, "a") == []


def test_an_empty_start_is_refused(world: CrashingWorld) -> None:
    with pytest.raises(InvalidInputError, match="must give 'rows' as a list of at least one item"):
        begin(world, "a")


def test_a_workflow_that_takes_no_list_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="the workflow must take one argument, a list"):

        @workflow(name="two_arguments", batch=Batch(3, wait="1s"))
        async def takes_two(rows: list[int], more: int) -> None: ...


@pytest.mark.parametrize(
    ("options", "problem"),
    [({"size": 0, "wait": "1s"}, "size must be an integer"), ({"size": 3, "wait": "0s"}, "wait must be greater")],
)
def test_what_is_no_batch_is_refused(options: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Batch(**options)


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_at_any_call(when: When) -> None:
    def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
        world = CrashingWorld(crashes)
        for name, row in (("a", 1), ("b", 3), ("c", 5), ("d", 7)):
            persist(lambda name=name, row=row: begin(world, name, row))  # type: ignore[misc]
        serve(world, live_limit=live_limit)
        return world

    def check(world: CrashingWorld) -> None:
        assert results(world) == {"a": [1, 3, 5], "d": [7]}, world.crashed

    die_at_each_call(lived, check, when)


def test_a_batch_that_is_throttled_has_each_item_once() -> None:
    def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
        world = CrashingWorld(crashes)
        for row in range(4):
            persist(lambda row=row: begin(world, f"r{row}", row, flow=in_throttled_batches))  # type: ignore[misc]
        serve(world, live_limit=live_limit)
        return world

    def check(world: CrashingWorld) -> None:
        assert results(world) == {"r0": [0, 1], "r2": [2, 3]}, world.crashed
        assert world.read_run("r2").gathered == 2

    die_at_each_call(lived, check, "after")
