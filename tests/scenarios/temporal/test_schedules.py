"""Runs that begin by themselves, again and again: started, paused, told apart, and deleted."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.support.scenarios import Env
from worldflow import ScheduleExistsError, ScheduleNotFoundError, workflow, workflow_info
from worldflow.engine.workflow.definitions import Workflow


def reporter() -> Workflow[..., Any]:
    @workflow
    async def reporting(what: str) -> str:
        return f"{what} in {workflow_info().run_id}"

    return reporting


def times(env: Env) -> list[datetime]:
    """When the runs were due that the schedule has started, by their ids."""
    ids = sorted(record.run_id for record in env.world.list_runs().runs)
    return [datetime.strptime(run_id, "s:%Y%m%dT%H%M%SZ") for run_id in ids]


async def test_every_so_often_with_the_input_it_was_given(env: Env) -> None:
    await env.drive(
        env.orchestrator.create_schedule("s", reporter(), {"what": "sales"}, schedule="cron(0/30 * * * ? *)")
    )
    await env.advance("61m")

    due = times(env)
    assert len(due) in (2, 3)  # as the hour stands at which it begins
    assert {time.minute % 30 for time in due} == {0}
    assert {later - earlier for earlier, later in pairwise(due)} == {timedelta(minutes=30)}
    run_id = f"s:{due[0]:%Y%m%dT%H%M%SZ}"
    assert await env.handle(run_id).result() == f"sales in {run_id}"


async def test_none_while_it_is_paused(env: Env) -> None:
    schedule = {"schedule": "rate(1 hour)"}
    record = await env.drive(
        env.orchestrator.create_schedule("s", reporter(), {"what": "sales"}, paused=True, **schedule)  # type: ignore[arg-type]
    )
    assert record.paused
    await env.advance("3h")
    assert times(env) == []

    await env.drive(env.orchestrator.update_schedule("s", paused=False))
    await env.advance("70m")
    assert len(times(env)) == 1

    await env.drive(env.orchestrator.update_schedule("s", paused=True))
    await env.advance("3h")
    assert len(times(env)) == 1


async def test_a_schedule_of_that_name_exists(env: Env) -> None:
    reporting = reporter()
    for _ in range(2):  # the very same one is no other
        await env.drive(env.orchestrator.create_schedule("s", reporting, {"what": "sales"}, schedule="rate(1 hour)"))
    with pytest.raises(ScheduleExistsError):
        await env.drive(env.orchestrator.create_schedule("s", reporting, {"what": "costs"}, schedule="rate(1 hour)"))

    assert [record.schedule_id for record in (await env.orchestrator.list_schedules()).schedules] == ["s"]


async def test_none_after_it_is_deleted(env: Env) -> None:
    await env.drive(env.orchestrator.create_schedule("s", reporter(), {"what": "sales"}, schedule="rate(1 hour)"))
    await env.advance("70m")
    await env.drive(env.orchestrator.delete_schedule("s"))
    await env.advance("5h")

    assert len(times(env)) == 1
    with pytest.raises(ScheduleNotFoundError):
        await env.drive(env.orchestrator.get_schedule("s"))
