"""A run keeps to its version of the workflow: also the type of its result does."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests.support.driver import START
from worldflow import SerializationError, workflow
from worldflow.engine.history import ChildCompleted, ChildStarted, RunCompleted, RunStarted
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.definitions import find_workflow
from worldflow.engine.workflow.execution import Execution
from worldflow.runtime.outcomes import outcome
from worldflow.worlds.records import RunRecord


@pytest.fixture(autouse=True)
def _versions() -> Iterator[None]:
    @workflow(name="versioned")
    async def one() -> date: ...

    @workflow(name="versioned", version=2)
    async def two() -> list[str]: ...

    @workflow(name="versioned", version=3)
    async def three() -> str: ...

    yield
    del definitions._workflows._versions["versioned"]


def completed(result: Any, version: int | None, name: str = "versioned") -> RunRecord:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return RunRecord(
        run_id="r",
        workflow_name=name,
        version=version,
        status="completed",
        created_at=at,
        updated_at=at,
        input={},
        result=result,
    )


@pytest.mark.parametrize(
    ("version", "result"),
    [
        (1, date(2026, 1, 1)),
        (None, date(2026, 1, 1)),  # recorded before there were versions
        (3, "2026-01-01"),
        (7, "2026-01-01"),  # whose code is not here
    ],
)
def test_it_has_the_type_of_that_version(version: int | None, result: Any):
    assert outcome(completed("2026-01-01", version)) == result


def test_a_result_that_does_not_fit_is_an_error_in_words():
    with pytest.raises(
        SerializationError, match=r"versioned\(\): the recorded result no longer matches the annotation"
    ):
        outcome(completed("2026-01-01", 2))


def test_without_the_code_it_is_json():
    assert outcome(completed("2026-01-01", 1, name="elsewhere")) == "2026-01-01"


def test_a_parent_gets_the_result_of_a_child_that_an_older_version_is():
    @workflow
    async def parent() -> str:
        return type(await find_workflow("versioned")()).__name__

    execution = Execution("run-1", parent)
    started = ChildStarted(child_id="c1", child_run_id="run-1~c1", workflow_name="versioned", version=1, input={})
    execution.replay([RunStarted(input={}).recorded(1, START), started.recorded(2, START)])
    decided = execution.apply(ChildCompleted(child_id="c1", result="2026-01-01"), START)
    assert decided == [RunCompleted(result="date")]
