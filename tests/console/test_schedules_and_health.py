"""Schedules with their actions, queues, dead letters, blocked runs."""

from __future__ import annotations

from tests.console.conftest import Pages
from tests.support.systems import System, start
from worldflow import wait_for_signal, workflow
from worldflow.engine.workflow import definitions
from worldflow.runtime import schedules, sending


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


def test_dead_letters_are_put_back(pages: Pages) -> None:
    assert "Put 0 messages back" in pages.follow(pages.send("/health/redrive", page="/health"))
