"""A run of a schedule that somebody asks for now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.schedules import create, fire_next, run_id, started
from tests.support.systems import System, finish
from tests.support.workflows import declares_a_sum, squares
from worldflow import InvalidInputError, ScheduleNotFoundError
from worldflow.runtime import Orchestrator, extra_runs, schedules


def test_it_starts_at_once_with_the_input_of_the_schedule(system: System) -> None:
    create(system, input={"count": 3}, paused=True)
    run = asyncio.run(Orchestrator(system.world).trigger_schedule("nightly", trigger_id="now"))

    assert run.id == "nightly:trigger-now"
    assert finish(system, run.id).result == 5
    assert schedules.get(system.world, "nightly").last_run_id is None


def test_the_same_id_starts_one_run(system: System) -> None:
    create(system)
    assert extra_runs.trigger(system.world, "nightly", "a") == ("nightly:trigger-a", True)
    finish(system, "nightly:trigger-a")
    assert extra_runs.trigger(system.world, "nightly", "a") == ("nightly:trigger-a", False)
    others = [extra_runs.trigger(system.world, "nightly") for _ in range(2)]
    assert len({run for run, _ in others}) == 2 and all(created for _, created in others)
    assert len(started(system.world)) == 3


def test_one_that_died_before_it_sent_the_start_is_repeated(system: System) -> None:
    create(system)

    def die(_world: object, _messages: Sequence[Any]) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(system.world), "send", die)
        extra_runs.trigger(system.world, "nightly", "a")
    extra_runs.trigger(system.world, "nightly", "a")

    assert finish(system, "nightly:trigger-a").status == "completed"


def test_a_triggered_run_keeps_none_from_starting_when_it_is_due(system: System) -> None:
    create(system, workflow=declares_a_sum, input={})
    extra_runs.trigger(system.world, "nightly", "a")
    due = fire_next(system)

    assert [run.run_id for run in started(system.world)] == [run_id(due), "nightly:trigger-a"]
    extra_runs.trigger(system.world, "nightly", "b")
    assert len(started(system.world)) == 3


def test_what_does_not_fit_is_refused(system: System) -> None:
    with pytest.raises(ScheduleNotFoundError):
        extra_runs.trigger(system.world, "nightly", "a")
    for id in ("", "a b", "x" * 41, 3):
        with pytest.raises(InvalidInputError) as raised:
            extra_runs.trigger(system.world, "nightly", id)  # type: ignore[arg-type]
        assert [field.field for field in raised.value.fields] == ["trigger_id"]


def test_over_the_api(api: Api) -> None:
    schedules.create(api.world, "nightly", squares, {"count": 2}, schedule="rate(1 day)")
    answers = [api.post("/schedules/nightly/trigger", {"trigger_id": "a"}) for _ in range(2)]

    assert [answer.status for answer in answers] == [201, 200]
    assert all(answer.body == {"schedule_id": "nightly", "run_id": "nightly:trigger-a"} for answer in answers)
    assert api.post("/schedules/nightly/trigger").status == 201
    assert api.post("/schedules/nightly/trigger", {"trigger_id": "a b"}).fields == ["trigger_id"]
    assert api.post("/schedules/hourly/trigger").status == 404
