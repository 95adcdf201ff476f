"""A schedule that an earlier version created, which wrote also the fields that were never set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.systems import LocalSystem, local_system
from worldflow import ScheduleExistsError, workflow
from worldflow.runtime import schedules
from worldflow.runtime.schedules import _stash
from worldflow.worlds.schedules import put_schedule


class Report(BaseModel):
    name: str
    format: str | None = None


@workflow
async def report(report: Report) -> None: ...


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalSystem]:
    with local_system(tmp_path / "runs.db") as system:
        yield system


def create(local: LocalSystem, given: Any) -> bool:
    return schedules.create(local.world, "daily", report, {"report": given}, schedule="cron(0 3 * * ? *)")[1]


def test_it_is_the_same_schedule(local: LocalSystem) -> None:
    create(local, Report(name="sales"))
    existing = schedules.get(local.world, "daily")
    assert existing.input == {"report": {"name": "sales"}}
    whole = _stash(local.world, "daily", {"report": {"name": "sales", "format": None}})
    put_schedule(local.world, existing.model_copy(update={"input": whole, "version": "2"}), replacing=existing)

    assert create(local, Report(name="sales")) is False
    with pytest.raises(ScheduleExistsError):
        create(local, Report(name="sales", format="csv"))
