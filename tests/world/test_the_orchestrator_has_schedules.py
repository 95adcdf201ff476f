"""Schedules as applications have them, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from tests.support.schedules import DAILY, fire_next, run_id, started
from tests.support.systems import System
from tests.support.workflows import squares
from workflows.hello import hello
from worldflow import InvalidInputError, ScheduleExistsError, ScheduleNotFoundError
from worldflow.runtime import Orchestrator

T = TypeVar("T")


@pytest.fixture
def orchestrator(system: System) -> Orchestrator:
    return Orchestrator(system.world)


def wait(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def test_from_its_creation_to_its_deletion(system: System, orchestrator: Orchestrator) -> None:
    created = wait(orchestrator.create_schedule("nightly", hello, {"name": "Ada"}, schedule=DAILY))
    assert (created.workflow, created.input, created.overlap, created.paused) == (
        "hello",
        {"name": "Ada"},
        "skip",
        False,
    )
    assert wait(orchestrator.create_schedule("nightly", hello, {"name": "Ada"}, schedule=DAILY)) == created

    due = fire_next(system)
    found = wait(orchestrator.get_schedule("nightly"))
    assert (found.last_run_id, found.last_due) == (run_id(due), due)

    paused = wait(orchestrator.update_schedule("nightly", paused=True))
    assert (paused.paused, paused.next_due(system.clock.now())) == (True, None)
    assert wait(orchestrator.get_schedule("nightly")) == paused

    wait(orchestrator.delete_schedule("nightly"))
    with pytest.raises(ScheduleNotFoundError, match="there is no schedule 'nightly'"):
        wait(orchestrator.get_schedule("nightly"))
    assert len(started(system.world)) == 1


def test_the_list_a_page_at_a_time(orchestrator: Orchestrator) -> None:
    for name in ("b", "c", "a"):
        wait(orchestrator.create_schedule(name, "squares", {"count": 1}, schedule=DAILY))

    first = wait(orchestrator.list_schedules(limit=2))
    assert [(record.schedule_id, record.input) for record in first.schedules] == [("a", None), ("b", None)]
    second = wait(orchestrator.list_schedules(limit=2, cursor=first.cursor))
    assert ([record.schedule_id for record in second.schedules], second.cursor) == (["c"], None)


def test_the_workflow_is_given_as_function_or_by_name(orchestrator: Orchestrator) -> None:
    for workflow in (squares, "squares"):
        with pytest.raises(InvalidInputError) as raised:
            wait(orchestrator.create_schedule("nightly", workflow, {"count": "many"}, schedule=DAILY))
        assert [field.field for field in raised.value.fields] == ["count"]
    assert wait(orchestrator.create_schedule("a", "elsewhere", {"x": [1]}, schedule=DAILY)).input == {"x": [1]}
    with pytest.raises(InvalidInputError, match="decorated with @workflow"):
        wait(orchestrator.create_schedule("b", 3, schedule=DAILY))  # type: ignore[arg-type]


def test_an_id_belongs_to_one_schedule(orchestrator: Orchestrator) -> None:
    wait(orchestrator.create_schedule("nightly", hello, {"name": "Ada"}, schedule=DAILY))
    for name, schedule in (("Ada", "rate(1 day)"), ("Grace", DAILY)):
        with pytest.raises(ScheduleExistsError) as raised:
            wait(orchestrator.create_schedule("nightly", hello, {"name": name}, schedule=schedule))
        assert raised.value.schedule_id == "nightly"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"schedule": "cron(0 8 * * * *)"}, "schedule"),
        ({"schedule": "cron(0 8 30 2 ? *)"}, "schedule"),
        ({"timezone": "Mars"}, "timezone"),
        ({"overlap": "queue"}, "overlap"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(
    system: System, orchestrator: Orchestrator, fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidInputError) as raised:
        wait(orchestrator.create_schedule("nightly", hello, **{"schedule": DAILY, **fields}))
    assert [field.field for field in raised.value.fields] == [named]

    before = wait(orchestrator.create_schedule("nightly", hello, schedule=DAILY))
    with pytest.raises(InvalidInputError) as raised:
        wait(orchestrator.update_schedule("nightly", **fields))
    assert [field.field for field in raised.value.fields] == [named]
    assert wait(orchestrator.get_schedule("nightly")) == before


def test_a_changed_workflow_takes_the_input_that_is_there(orchestrator: Orchestrator) -> None:
    wait(orchestrator.create_schedule("nightly", hello, {"name": "Ada"}, schedule=DAILY))
    with pytest.raises(InvalidInputError) as raised:
        wait(orchestrator.update_schedule("nightly", workflow=squares))
    assert sorted(field.field for field in raised.value.fields) == ["count", "name"]
    changed = wait(orchestrator.update_schedule("nightly", workflow=squares, input={"count": 4}))
    assert (changed.workflow, changed.input, changed.schedule) == ("squares", {"count": 4}, DAILY)
    assert wait(orchestrator.update_schedule("nightly", workflow="elsewhere")).input == {"count": 4}


@pytest.mark.parametrize("method", ["get_schedule", "update_schedule", "delete_schedule"])
def test_one_that_is_not_there(orchestrator: Orchestrator, method: str) -> None:
    with pytest.raises(ScheduleNotFoundError) as raised:
        wait(getattr(orchestrator, method)("nightly"))
    assert raised.value.schedule_id == "nightly"
