"""The list of runs: newest first, filtered, page after page."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.systems import AWSSystem
from worldflow import InvalidInputError
from worldflow.engine.history import StepCompleted
from worldflow.runtime import schedules
from worldflow.worlds import RunRecord, World, ledger
from worldflow.worlds.messages import StepOutcome
from worldflow.worlds.records import Status

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)

STATUSES: list[Status] = ["running", "completed", "failed", "cancelled", "blocked"]


def records(count: int) -> list[RunRecord]:
    """Newest first. Some were created in the same microsecond, and their names are in no order."""
    made = [
        RunRecord(
            run_id=f"run-{number * 7919 % 1000:03}",
            workflow_name=["orders", "mails", "reports"][number % 3],
            status=STATUSES[number % 5],
            created_at=NOON + timedelta(microseconds=number // 2),
            updated_at=NOON + timedelta(seconds=number),
            seq=number,
            input={"large": "x"},
            result="y",
        )
        for number in range(count)
    ]
    return sorted(made, key=lambda record: (record.created_at, record.run_id), reverse=True)


def fill(world: World, count: int) -> list[RunRecord]:
    made = records(count)
    for record in made:
        assert world.create_run(record) is None
    return made


def pages(world: World, limit: int, **filters: Any) -> list[list[str]]:
    found: list[list[str]] = []
    cursor = None
    while True:
        page = world.list_runs(limit=limit, cursor=cursor, **filters)
        found.append([record.run_id for record in page.runs])
        cursor = page.cursor
        if cursor is None:
            return found
        assert len(found) < 100


def ids(made: list[RunRecord]) -> list[str]:
    return [record.run_id for record in made]


def test_nothing_is_an_empty_page(world: World) -> None:
    page = world.list_runs()

    assert page.runs == []
    assert page.cursor is None


def test_the_newest_come_first(world: World) -> None:
    made = fill(world, 12)

    assert ids(list(world.list_runs().runs)) == ids(made)


def test_a_listed_record_has_no_input_and_no_result(world: World) -> None:
    (made,) = fill(world, 1)

    (listed,) = world.list_runs().runs
    assert listed == made.model_copy(update={"input": None, "result": None})


def test_pages_hold_every_run_once(world: World) -> None:
    made = fill(world, 60)
    found = pages(world, 7)

    assert [run_id for page in found for run_id in page] == ids(made)
    assert [len(page) for page in found] == [7] * 8 + [4]


def test_the_last_page_has_no_cursor_even_when_it_is_full(world: World) -> None:
    fill(world, 14)

    assert [len(page) for page in pages(world, 7)] == [7, 7]


def test_runs_that_start_meanwhile_do_not_disturb_the_pages(world: World) -> None:
    made = fill(world, 10)
    first = world.list_runs(limit=5)
    world.create_run(made[0].model_copy(update={"run_id": "late", "created_at": NOON + timedelta(hours=1)}))
    second = world.list_runs(limit=5, cursor=first.cursor)

    assert ids([*first.runs, *second.runs]) == ids(made)


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_leaves_out_the_others(world: World, status: Status) -> None:
    made = [record for record in fill(world, 25) if record.status == status]

    assert [run_id for page in pages(world, 3, status=status) for run_id in page] == ids(made)


def test_a_workflow_leaves_out_the_others(world: World) -> None:
    made = [record for record in fill(world, 25) if record.workflow_name == "mails"]

    assert [run_id for page in pages(world, 3, workflow="mails") for run_id in page] == ids(made)
    assert pages(world, 3, workflow="nobody's") == [[]]


def test_both_filters_hold_together(world: World) -> None:
    made = [record for record in fill(world, 60) if record.workflow_name == "mails" and record.status == "failed"]

    assert made
    assert [run_id for page in pages(world, 2, workflow="mails", status="failed") for run_id in page] == ids(made)


def test_a_run_is_listed_under_the_status_that_it_has_now(world: World) -> None:
    (made,) = fill(world, 1)
    world.update_run(made.model_copy(update={"status": "completed", "seq": 9, "ended_at": NOON}))

    assert world.list_runs(status="running").runs == []
    (listed,) = world.list_runs(status="completed").runs
    assert (listed.run_id, listed.ended_at) == (made.run_id, NOON)


@pytest.mark.parametrize("cursor", ["nonsense", "#", "|", "yesterday#run-1", "yesterday|run-1", "'; drop table runs"])
def test_what_is_no_cursor_is_refused(world: World, cursor: str) -> None:
    fill(world, 3)

    with pytest.raises(InvalidInputError, match="cursor"):
        world.list_runs(cursor=cursor)


def test_outcomes_of_steps_are_no_runs(world: World) -> None:
    ledger.put_outcome(world, StepOutcome(run_id="r", fact=StepCompleted(step_id="s1")))

    assert world.list_runs().runs == []
    assert world.get_run("step#r#s1#1") is None


def test_a_page_asks_each_shard_once(aws: AWSSystem) -> None:
    fill(aws.world, 70)
    aws.stack.requests.clear()
    aws.world.list_runs(limit=5)

    assert aws.stack.requests == ["dynamodb.Query"] * 8


@pytest.mark.parametrize("status", ["runing", "RUNNING", "pending", ""])
def test_a_status_that_no_run_has_is_refused_with_those_that_there_are(world: World, status: Any) -> None:
    fill(world, 3)

    with pytest.raises(InvalidInputError) as caught:
        world.list_runs(status=status)
    assert caught.value.summary == (
        f"{status!r} is not a valid status: "
        "it must be one of running, completed, failed, cancelled, continued, blocked, paused"
    )
    assert [field.field for field in caught.value.fields] == ["status"]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_leaves_no_place_is_refused(world: World, limit: int) -> None:
    fill(world, 3)

    with pytest.raises(InvalidInputError, match=f"^limit must be at least 1, not {limit}") as caught:
        world.list_runs(limit=limit)
    assert [field.field for field in caught.value.fields] == ["limit"]
    with pytest.raises(InvalidInputError, match="limit"):
        schedules.list_page(world, limit)
