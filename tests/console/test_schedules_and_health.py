"""Schedules with their actions, queues, dead letters, blocked runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.console.conftest import Pages
from tests.support.systems import System, start
from worldflow import wait_for_signal, workflow
from worldflow.console import operating
from worldflow.engine.workflow import definitions
from worldflow.runtime import schedules, sending, sweep
from worldflow.worlds.messages import StepTask


@workflow
async def console_scheduled() -> None:
    await wait_for_signal("go")


def test_a_schedule_is_paused_resumed_and_deleted(system: System, pages: Pages) -> None:
    schedules.create(system.world, "nightly", console_scheduled, None, schedule="cron(0 8 * * ? *)", timezone="UTC")
    page = pages.text("/schedules")
    assert "nightly" in page and "<time datetime=" in page
    for action, told in [("pause", "is paused"), ("resume", "is active"), ("delete", "Deleted schedule nightly")]:
        assert told in pages.follow(pages.send(f"/schedules/nightly/{action}", page="/schedules"))
    assert "No schedules." in pages.text("/schedules")
    assert pages.send("/schedules/nightly/explode").status == 422


def test_a_schedule_is_triggered_once_by_each_form(system: System, pages: Pages) -> None:
    schedules.create(system.world, "nightly", console_scheduled, None, schedule="cron(0 8 * * ? *)", paused=True)
    form = pages.send("/schedules/nightly/trigger", page="/schedules")
    assert "Started run nightly:trigger-" in pages.follow(form)
    assert len(system.world.list_runs().runs) == 1


def test_a_schedule_has_a_page(system: System, pages: Pages, open_pages: Callable[..., Pages]) -> None:
    fields: dict[str, Any] = {"schedule": "cron(0 8 * * ? *)", "overlap": "buffer_one", "catch_up": "1h"}
    schedules.create(system.world, "nightly", console_scheduled, None, **fields, remaining=1)
    assert 'href="/schedules/nightly"' in pages.text("/schedules")
    page = pages.text("/schedules/nightly")
    for told in ("<dd>buffer_one</dd>", "<dt>Catch-up</dt><dd>1h</dd>", "<dt>Runs left</dt><dd>1</dd>", "Backfill"):
        assert told in page
    due = schedules.get(system.world, "nightly").next_due(system.clock.now())
    assert due
    system.clock.forward(due)
    system.settle()
    page = pages.text("/schedules/nightly")
    assert '<span class="status finished">finished</span>' in page and "/runs/nightly:" in page
    assert '<span class="status finished">finished</span>' in pages.text("/schedules")
    closed = open_pages(read_only=True, payloads=False).text("/schedules/nightly")
    assert "<form" not in closed and "Data is not shown." in closed
    assert pages.get("/schedules/other").status == 404


def test_a_backfill_is_shown_before_it_starts_runs(system: System, pages: Pages) -> None:
    zone = "Europe/Berlin"
    schedules.create(system.world, "nightly", console_scheduled, None, schedule="cron(0 8 * * ? *)", timezone=zone)
    path, page = "/schedules/nightly/backfill", "/schedules/nightly"
    times = {"start": "2025-11-03T00:00", "end": "2025-11-05T00:00"}
    shown = pages.send(path, times, page=page).text
    assert "2025-11-03 00:00 CET until before 2025-11-05 00:00 CET: 2 times, 2 runs to start" in shown
    assert "nightly:20251103T070000Z" in shown
    assert system.world.list_runs().runs == []
    confirmed = dict(re.findall(r'name="(start|end|confirmed)" value="([^"]+)"', shown))
    said = pages.follow(pages.send(path, confirmed, page=page))
    assert "Started 2 runs; 0 already existed." in said and len(system.world.list_runs().runs) == 2
    assert "2 times, 0 runs to start" in pages.send(path, times, page=page).text
    wrong = pages.send(path, {**times, "end": "2025-11-01T00:00"}, page=page)
    assert wrong.status == 422 and "must be after start" in wrong.text and 'value="2025-11-03T00:00"' in wrong.text


def test_blocked_runs_say_why(system: System, pages: Pages) -> None:
    start(system, "blocked", console_scheduled)
    assert "No run is blocked." in pages.text("/health")
    definitions._workflows._versions.pop("console_scheduled")
    system.restart()
    sending.signal(system.world, "blocked", "go")
    system.settle()
    page = pages.text("/health")
    assert 'href="/runs/blocked"' in page and "WorkflowNotFoundError" in page
    assert "Deploy a fix, then resume the run." in pages.text("/runs/blocked")


def test_the_last_sweep_is_told_and_whether_another_is_overdue(system: System, pages: Pages) -> None:
    assert "none yet: a worker sweeps when it starts" in pages.text("/health")
    sweep.note(system.world, system.clock.now())
    page = pages.text("/health")
    assert "<dt>Last sweep</dt><dd><time" in page and "overdue" not in page
    system.clock.forward(system.clock.now() + timedelta(hours=2))
    assert '<span class="status failed">overdue</span>' in pages.text("/health")


def test_a_step_attempt_that_has_not_ended_has_an_age(system: System, pages: Pages) -> None:
    assert "<dt>Oldest open step attempt</dt><dd>none</dd>" in pages.text("/health")
    system.world.send([StepTask(run_id="order-1", step_id="s1", name="console_any")])
    system.clock.forward(system.clock.now() + timedelta(minutes=5))
    assert "<dt>Oldest open step attempt</dt><dd>5 min" in pages.text("/health")


def test_dead_letters_are_put_back(pages: Pages) -> None:
    assert "Put 0 messages back" in pages.follow(pages.send("/health/redrive", page="/health"))


@pytest.mark.parametrize(
    ("steps", "heavy", "oldest"),
    [
        ((0, 0, None), (0, 0, None), 0.0),
        ((1, 0, 30.0), (0, 2, 50.0), 50.0),
        ((1, 0, 30.0), (0, 2, None), None),
    ],
)
def test_the_oldest_step_attempt_of_a_stack_may_be_in_any_queue_of_steps(
    steps: Any, heavy: Any, oldest: float | None
) -> None:
    assert operating._oldest_step({"runs": (1, 1, 70.0), "steps": steps, "steps heavy": heavy}) == oldest
