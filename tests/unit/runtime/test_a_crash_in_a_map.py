"""The process dies anywhere in a map, which ends as it would have."""

from pathlib import Path

import pytest

from tests.support.crashes import Crashes, CrashingWorld, die_often, persist, serve, whole_history
from worldflow import FatalError, MapFailedError, map_steps, sleep, step, workflow
from worldflow.engine.history import ChildStarted, StepScheduled
from worldflow.runtime import starting
from worldflow.sources import S3Lines

pytestmark = pytest.mark.usefixtures("quiet")


@step
async def map_item_of_a_crash(n: int) -> int:
    if n % 3 == 2:
        raise FatalError(n)
    return n


@workflow
async def map_child_of_a_crash(n: int) -> int:
    await sleep(n * 60)
    return n


@workflow
async def maps_through_crashes() -> list[object]:
    tolerant = await map_steps(map_item_of_a_crash, range(7), concurrency=3, tolerated_failures=2)
    first = await map_steps(map_child_of_a_crash, [9, 1, 8], min_successful=1)
    try:
        await map_steps(map_item_of_a_crash, [1, 2, 4], concurrency=1)
    except MapFailedError as error:
        return [tolerant.results, first.results, error.result.results]
    return []


def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "r", maps_through_crashes))
    serve(world, live_limit=live_limit)
    return world


def check(world: CrashingWorld) -> None:
    record = world.read_run("r")
    expected = [[0, 1, None, 3, 4, None, 6], [None, 1, None], [1, None, None]]
    assert record.result == expected, (record.status, record.error, world.crashed)
    history = whole_history(world, "r", maps_through_crashes)
    assert sum(isinstance(event, StepScheduled) for event in history) == 7 + 2
    assert sum(isinstance(event, ChildStarted) for event in history) == 3
    assert [world.read_run(f"r~c{n}").status for n in (1, 2, 3)] == ["cancelled", "completed", "cancelled"]
    assert world._rows("select body from messages") == [], world.crashed


@pytest.mark.parametrize("seed", range(6))
def test_the_process_dies_many_times(seed: int) -> None:
    die_often(lived, check, seed)


@workflow
async def maps_pages_through_crashes(url: str) -> list[object]:
    tolerant = await map_steps(map_item_of_a_crash, S3Lines(url), page_size=3, pages=2, tolerated_failures=2)
    try:
        await map_steps(map_item_of_a_crash, [0, 1, 2, 3], page_size=2, pages=1)
    except MapFailedError as error:
        return [tolerant.total, tolerant.succeeded, tolerant.pages, error.result.succeeded, error.result.failed]
    return []


@pytest.mark.parametrize("seed", range(3))
def test_the_process_dies_many_times_in_a_map_in_pages(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "numbers"
    path.write_text("0\n1\n2\n3\n4\n5\n6\n")

    def lived(crashes: Crashes, live_limit: int = 200) -> CrashingWorld:
        world = CrashingWorld(crashes)
        persist(lambda: starting.start(world, "r", maps_pages_through_crashes, {"url": path.as_uri()}))
        serve(world, live_limit=live_limit)
        return world

    def check(world: CrashingWorld) -> None:
        record = world.read_run("r")
        assert record.result == [7, 5, ["r~c1", "r~c2", "r~c3"], 2, 1], (record.status, record.error, world.crashed)
        assert record.status_text == "3 of 4 items, 1 failed"
        history = whole_history(world, "r", maps_pages_through_crashes)
        assert sum(isinstance(event, ChildStarted) for event in history) == 5
        pages = [world.load_history(f"r~c{n}") for n in range(1, 6)]
        assert [sum(isinstance(event, StepScheduled) for event in page) for page in pages] == [4, 4, 2, 2, 2]
        assert world._rows("select body from messages") == [], world.crashed

    die_often(lived, check, seed)
