"""The tokens that steps record stand in the run's record, for every World."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.systems import AWSSystem, System, finish, signal, start
from worldflow import RetryPolicy, record_usage, step, step_info, wait_for_signal, workflow
from worldflow.runtime.orchestrator import Orchestrator
from worldflow.worlds.records import RunRecord


@step(retry=RetryPolicy(max_attempts=2, initial_interval=1))
async def spends_tokens(model: str) -> None:
    record_usage(model, input_tokens=100, output_tokens=10)
    if step_info().attempt == 1 and model == "large":
        raise ValueError("not an answer")


@workflow
async def spends_in_steps() -> None:
    await asyncio.gather(spends_tokens("small"), spends_tokens("large"))
    await wait_for_signal("on")
    await spends_tokens.options(inline=True)("small")


FIRST = [
    {"model": "small", "input_tokens": 100, "output_tokens": 10},
    {"model": "large", "input_tokens": 200, "output_tokens": 20},
]
ALL = [
    {"model": "small", "input_tokens": 200, "output_tokens": 20},
    {"model": "large", "input_tokens": 200, "output_tokens": 20},
]


def by_model(usage: Any) -> list[dict[str, Any]]:
    return sorted(usage, key=lambda entry: entry["model"], reverse=True)


def usage_of(system: System, run_id: str) -> list[dict[str, Any]]:
    return by_model(Orchestrator(system.world).sync.run(run_id).usage())


def spent(system: System) -> RunRecord:
    start(system, "r", spends_in_steps)
    system.settle()
    while due := system.next_due():
        system.clock.forward(due)
        system.settle()
    assert usage_of(system, "r") == FIRST
    signal(system, "r", "on")
    return finish(system, "r")


def test_when_it_has_ended_its_record_has_the_sum_of_all_attempts(system: System) -> None:
    record = spent(system)
    assert by_model(record.usage) == ALL
    assert usage_of(system, "r") == ALL


def test_the_api_shows_them(aws: AWSSystem, api: Api) -> None:
    spent(aws)
    assert by_model(api.get("/runs/r").body["usage"]) == ALL


def test_those_of_a_fork_are_its_own(system: System) -> None:
    spent(system)
    events = system.world.load_history("r")
    after = max(event.seq for event in events if event.event_type == "SignalReceived") - 1
    Orchestrator(system.world).sync.fork("r", "copy", after=after)
    signal(system, "copy", "on")
    record = finish(system, "copy")
    own = [{"model": "small", "input_tokens": 100, "output_tokens": 10}]
    assert record.usage == own
    assert usage_of(system, "copy") == own


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "worldflow")
