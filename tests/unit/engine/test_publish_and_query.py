"""A query looks at what the workflow has published, and changes nothing."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from tests.support.driver import Drive, Driver
from tests.support.steps import work
from worldflow import (
    OutsideError,
    SerializationError,
    WorldflowError,
    now,
    patched,
    publish,
    set_status,
    workflow,
    workflow_info,
)
from worldflow.engine.workflow.execution import Execution


@workflow
async def shopping() -> int:
    items: list[str] = []
    publish("items", lambda: items)
    publish("stage", "choosing")
    items.append(await work())
    publish("stage", "paying")
    await work()
    return len(items)


def query(run: Driver, name: str) -> Any:
    """As a process does that has only the history; and as the live execution would."""
    asked = run.replay()
    try:
        answer = asked.query(name)
        assert asked.query(name) == answer == run.live.query(name)
        return answer
    finally:
        asked.dispose()


def test_a_value_is_that_of_its_time_and_a_callable_is_called_now(drive: Drive):
    run = drive(shopping)
    assert (query(run, "items"), query(run, "stage")) == ([], "choosing")
    run.complete(work, "tea")
    assert (query(run, "items"), query(run, "stage")) == (["tea"], "paying")


def test_a_run_that_has_ended_still_answers(drive: Drive):
    run = drive(shopping)
    run.complete(work, "tea")
    run.complete(work)
    assert query(run, "items") == ["tea"]


def test_nothing_is_decided(drive: Drive):
    run = drive(shopping)
    query(run, "items")
    run.complete(work, "tea")
    assert run.decided == ["StepScheduled s2 work"]


def test_what_nobody_published(drive: Drive):
    with pytest.raises(KeyError):
        query(drive(shopping), "price")


def test_a_value_is_as_json_has_it(drive: Drive):
    @workflow
    async def dated() -> None:
        publish("when", lambda: {"day": date(2026, 1, 2), "now": now(), "run": workflow_info().run_id})
        await work()

    answer = query(drive(dated), "when")
    assert answer["day"] == "2026-01-02"
    assert answer["run"] == "run-1"


def test_a_value_that_json_cannot_carry(drive: Drive):
    @workflow
    async def odd() -> None:
        publish("odd", object())
        await work()

    with pytest.raises(SerializationError):
        query(drive(odd), "odd")


def test_what_the_callable_raises_is_told_to_who_asks(drive: Drive):
    @workflow
    async def shy() -> None:
        publish("secret", lambda: 1 / 0)
        await work()

    with pytest.raises(ZeroDivisionError):
        query(drive(shy), "secret")


@pytest.mark.parametrize(
    "act", [lambda: set_status("asked"), lambda: patched("p") and None], ids=["set_status", "patched"]
)
def test_a_query_that_asks_for_a_decision_is_refused(drive: Drive, act: Callable[[], Any]):
    @workflow
    async def eager() -> None:
        publish("eager", act)
        await work()

    execution: Execution = drive(eager).replay()
    with pytest.raises(WorldflowError, match="must be read-only"):
        execution.query("eager")
    execution.dispose()


def test_publishing_is_for_workflows():
    with pytest.raises(OutsideError):
        publish("x", 1)
