"""A schedule on the local AWS fires at its first moment after it was made, changed or resumed.

Its clock is held here: MiniStack looks for what is due when a test tells it to.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.threads import ministack_service

eventbridge, scheduler = ministack_service("eventbridge"), ministack_service("scheduler")

NEARLY_A_MINUTE = datetime(2026, 3, 11, 12, 0, 59, 800_000, tzinfo=UTC)
EVERY_MINUTE = "cron(* * * * ? *)"


class LocalScheduler:
    def __init__(self) -> None:
        self.now = NEARLY_A_MINUTE
        self.fired: list[str] = []

    def looks(self, seconds: float = 0.5) -> list[str]:
        """Time passes, then it looks for what is due. Returns for which moments schedules fire."""
        self.now += timedelta(seconds=seconds)
        self.fired.clear()
        scheduler._tick_schedules()
        return list(self.fired)

    def create(self, **fields: str) -> None:
        assert scheduler._create_schedule("minutely", self._body(fields))[0] == 200

    def update(self, **fields: str) -> None:
        assert scheduler._update_schedule("minutely", self._body(fields))[0] == 200

    def delete(self) -> None:
        assert scheduler._delete_schedule("minutely", {})[0] == 200

    def _body(self, fields: dict[str, str]) -> dict[str, Any]:
        target = {"Arn": "arn:of-a-queue", "RoleArn": "arn:of-a-role", "Input": "<aws.scheduler.scheduled-time>"}
        body = {"ScheduleExpression": EVERY_MINUTE, "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target}
        return body | fields


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalScheduler]:
    monkeypatch.setenv("LOCAL_AWS_DIRECTORY", str(tmp_path))
    from worldflow.devtools.local_aws.patches import scheduler as patch

    local = LocalScheduler()
    for name in ("_create_schedule", "_update_schedule", "_delete_schedule", "_SCHEDULE_TICK_INTERVAL"):
        monkeypatch.setattr(scheduler, name, getattr(scheduler, name))
    monkeypatch.setattr(eventbridge, "_invoke_target", eventbridge._invoke_target)
    monkeypatch.setattr(patch, "_invoke_target", lambda target, *_: local.fired.append(target["Input"]))
    clock = SimpleNamespace(time=lambda: local.now.timestamp())
    monkeypatch.setattr(scheduler, "time", clock)
    patch.apply()
    scheduler.reset()
    scheduler._schedule_last_fired.clear()
    yield local
    scheduler.reset()
    scheduler._schedule_last_fired.clear()


def test_one_that_is_made_just_before_its_moment_fires_then(local: LocalScheduler) -> None:
    local.create()

    assert local.looks() == ["2026-03-11T12:01:00Z"]
    assert local.looks() == []
    assert local.looks(59.5) == ["2026-03-11T12:02:00Z"]


def test_one_that_is_made_after_its_moment_waits_for_the_next(local: LocalScheduler) -> None:
    local.now += timedelta(seconds=1)
    local.create()

    assert local.looks() == []
    assert local.looks(59) == ["2026-03-11T12:02:00Z"]


def test_one_that_is_resumed_makes_up_for_nothing(local: LocalScheduler) -> None:
    local.create()
    local.looks()
    local.update(State="DISABLED")
    assert local.looks(600) == []
    local.update()

    assert local.looks() == []
    assert local.looks(60) == ["2026-03-11T12:12:00Z"]


def test_one_that_is_about_to_fire_does_so_whatever_else_is_changed(local: LocalScheduler) -> None:
    local.create()
    local.now += timedelta(seconds=0.3)
    local.update(Description="on the hour")

    assert local.looks() == ["2026-03-11T12:01:00Z"]


def test_one_of_the_name_of_a_deleted_one_owes_nothing_for_it(local: LocalScheduler) -> None:
    local.create()
    local.looks()
    local.delete()
    assert local.looks(600) == []
    local.create()

    assert local.looks() == []
    assert local.looks(60) == ["2026-03-11T12:12:00Z"]


def test_a_timer_of_the_name_of_a_deleted_one_fires(local: LocalScheduler) -> None:
    for _ in range(2):
        local.create(ScheduleExpression="at(2026-03-11T12:00:00)")
        assert local.looks() == ["2026-03-11T12:00:00Z"]
        local.delete()
