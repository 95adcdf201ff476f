"""The list of runs by when they started and ended, by their ids, their parents and what they show."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.systems import AWSSystem, System, start
from tests.world.test_listing_by_attributes import found
from worldflow import InvalidInputError, set_status, workflow
from worldflow.worlds import RunRecord, World
from worldflow.worlds.filters import Filters

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
COUNT = 24


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def fill(world: World) -> None:
    """A run a minute; every second has ended, half a minute after its start or a little later."""
    for number in range(COUNT):
        ended = number % 2 == 0
        world.create_run(
            RunRecord(
                run_id=f"{'mail' if number % 3 else 'order'}-{number}",
                workflow_name="mails" if number % 3 else "orders",
                status="failed" if ended else "running",
                created_at=at(number),
                updated_at=NOON,
                ended_at=at(number + 0.5) + timedelta(microseconds=number) if ended else None,
                status_text=f"Sent {number} of 30" if number % 4 == 0 else None,
            )
        )


def numbers(world: World, **filters: Any) -> list[int]:
    ids = found(world, limit=3, **filters)
    assert world.count_runs(**filters) == len(ids)
    return [int(run_id.rpartition("-")[2]) for run_id in ids]


@pytest.fixture
def filled(world: World) -> World:
    fill(world)
    return world


def test_times_of_start(filled: World) -> None:
    assert numbers(filled, started_after=at(20)) == [23, 22, 21, 20]
    assert numbers(filled, started_before=at(2)) == [1, 0]
    assert numbers(filled, started_after=at(3), started_before=at(9)) == [8, 7, 6, 5, 4, 3]
    assert numbers(filled, started_after=at(3), started_before=at(9), status="failed") == [8, 6, 4]
    assert numbers(filled, started_after=at(9), started_before=at(3)) == []
    elsewhere = at(20).astimezone(tz=None)
    assert numbers(filled, started_after=elsewhere) == [23, 22, 21, 20]


def test_times_of_end(filled: World) -> None:
    assert numbers(filled, ended_after=at(18.5)) == [22, 20, 18]
    assert numbers(filled, ended_before=at(4.5)) == [2, 0]
    assert numbers(filled, ended_after=at(2.5) + timedelta(microseconds=2), ended_before=at(6.6)) == [6, 4, 2]
    assert numbers(filled, ended_after=at(2.5) + timedelta(microseconds=3), ended_before=at(6.5)) == [4]
    assert numbers(filled, ended_after=NOON, status="running") == []


def test_the_beginning_of_an_id_and_a_part_of_what_a_run_shows(filled: World) -> None:
    assert numbers(filled, id_prefix="order-2") == [21]
    assert numbers(filled, id_prefix="rder") == []
    assert numbers(filled, status_text="Sent 1") == [16, 12]
    assert numbers(filled, status_text="sent 1") == []
    assert numbers(filled, status_text="2", id_prefix="mail", started_before=at(23)) == [20]


def test_a_count_may_be_limited(filled: World) -> None:
    assert filled.count_runs() == COUNT
    assert filled.count_runs(at_most=5) == 5
    assert filled.count_runs(at_most=100, status="failed") == COUNT // 2


@pytest.mark.parametrize(
    ("filters", "problem"),
    [
        ({"started_after": datetime(2026, 1, 15)}, r"started_after needs a time zone"),
        ({"ended_before": "2026-01-15"}, r"ended_before takes a datetime, not '2026-01-15'"),
        ({"stat": "failed"}, r"there is no filter 'stat': there are status, workflow, attributes, started_after"),
        ({"status": "lost"}, r"'lost' is not a valid status"),
    ],
)
def test_what_is_no_filter_is_refused(world: World, filters: dict[str, Any], problem: str) -> None:
    for ask in (world.list_runs, world.count_runs):
        with pytest.raises(InvalidInputError, match=problem):
            ask(**filters)


def test_only_the_runs_of_a_time_are_read_on_aws(aws: AWSSystem) -> None:
    """A request for each shard, to that part of the index; none where the times exclude each other."""
    fill(aws.world)
    given: list[Filters] = [{"started_after": at(20)}, {"ended_before": at(4)}]
    for filters in given:
        aws.stack.requests.clear()
        aws.world.list_runs(**filters)
        assert aws.stack.requests == ["dynamodb.Query"] * 8
    aws.stack.requests.clear()
    aws.world.list_runs(started_after=at(9), started_before=at(3))
    assert aws.stack.requests == []


@workflow
async def listed_leaf(number: int) -> None:
    set_status(f"leaf {number}")
    if number == 2:
        raise ValueError("withered")


@workflow
async def listed_branch() -> None:
    await asyncio.gather(*(listed_leaf(number) for number in range(4)), return_exceptions=True)
    await listed_leaf.options(run_id="the-last-leaf")(9)


def test_the_children_of_a_run(system: System) -> None:
    start(system, "branch", listed_branch)
    start(system, "other", listed_branch)
    system.settle()
    world, theirs = system.world, [f"branch~c{number}" for number in (4, 3, 2, 1)]

    assert found(world, parent="branch", limit=2) == ["the-last-leaf", *theirs]
    assert found(world, parent="branch", status="failed") == ["branch~c3"]
    assert found(world, parent="branch", status_text="leaf 1") == ["branch~c2"]
    assert found(world, parent="other") == [run_id.replace("branch", "other") for run_id in theirs]
    assert found(world, parent="the-last-leaf") == found(world, parent="nobody") == []
    assert world.count_runs(parent="branch", status="completed") == 4
    with pytest.raises(InvalidInputError, match="not a valid cursor"):
        world.list_runs(parent="branch", cursor=f"{NOON.isoformat()}#stranger")
