"""A service of AWS, or all of them, is away for hours: no run is blocked, no step has failed, and nothing that was
recorded happens again. Only deaths of the function count.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from tests.support.aws import QueueName, Stack
from tests.support.systems import TURNS_LIMIT, finish, skip
from tests.support.wire import Asked, WiredSystem, refused, wired_system
from worldflow import (
    RetryPolicy,
    on_update,
    sleep,
    step,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import Fact, StepFailed
from worldflow.runtime import questions, requests

AWAY = EndpointConnectionError(endpoint_url="https://aws.test")
HOURS = timedelta(hours=2)
ran: Counter[str] = Counter()


@step(name="outage_work", retry=RetryPolicy(max_attempts=2, initial_interval="1s", jitter=0))
async def work(what: str) -> str:
    ran[what[:20]] += 1
    return what


@step(name="outage_once", at_most_once=True)
async def once(what: str) -> str:
    ran[what] += 1
    return what


@step(name="outage_inline_once", at_most_once=True, inline=True)
async def inline_once(what: str) -> str:
    ran[what] += 1
    return what


@workflow(name="outage_plain")
async def plain() -> str:
    return await work("a") + await work("b") + await work("c")


@workflow(name="outage_timer")
async def timer() -> str:
    await sleep("10m")
    await sleep("1h")
    return await work("timer")


@workflow(name="outage_child")
async def child() -> str:
    await sleep("30m")
    return await work("child")


@workflow(name="outage_parent")
async def parent() -> str:
    return await child()


@workflow(name="outage_signals")
async def signals() -> list[Any]:
    return [await wait_for_signal("value"), await wait_for_signal("value"), await work("signals")]


@workflow(name="outage_inline")
async def inline() -> str:
    return await work.options(inline=True)("inline 1") + await work.options(inline=True)("inline 2")


@workflow(name="outage_inline_once")
async def runs_inline_once() -> str:
    return await inline_once("inline once")


@workflow(name="outage_once")
async def runs_once() -> str:
    return await once("once")


@workflow(name="outage_updates")
async def updates() -> int:
    total = 0

    @on_update("add")
    async def add(number: int) -> int:
        nonlocal total
        total += number
        return total

    await wait_for_signal("done")
    return total


@workflow(name="outage_large")
async def large() -> int:
    return len(await work("x" * 70_000))


RUNS: dict[str, Any] = {
    "plain": plain,
    "timer": timer,
    "parent": parent,
    "signals": signals,
    "inline": inline,
    "inline-once": runs_inline_once,
    "once": runs_once,
    "updates": updates,
    "large": large,
}
ENDS = {
    "plain": "abc",
    "timer": "timer",
    "parent": "child",
    "signals": [1, 2, "signals"],
    "inline": "inline 1inline 2",
    "inline-once": "inline once",
    "once": "once",
    "updates": 5,
    "large": 70_000,
}

QUEUES: tuple[QueueName, ...] = ("runs", "steps", "timers")
ERRORS: dict[str, Exception] = {
    "connection": AWAY,
    "timeout": ReadTimeoutError(endpoint_url="https://aws.test"),
    "throttled": refused("ThrottlingException"),
    "5xx": refused("InternalServerError"),
}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    ran.clear()
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)


@pytest.fixture
def system(stack: Stack) -> Iterator[WiredSystem]:
    with wired_system(stack, patient=True) as system:
        yield system


def away(system: WiredSystem, service: str, error: Exception, back: datetime) -> None:
    """From now on a service answers nothing to the functions."""

    def faults(asked: Asked) -> Exception | None:
        is_away = asked.name.startswith(service) and asked.serving and system.clock.now() < back
        return error if is_away else None

    system.wire.reset(faults)


def wait_until(system: WiredSystem, until: datetime) -> None:
    system.settle()
    for _ in range(TURNS_LIMIT):
        due = system.next_due()
        if due is None or due > until:
            break
        assert skip(system)
    system.clock.forward(until)


def check(system: WiredSystem, run_id: str) -> None:
    history = system.reader.load_history(run_id)
    facts = [event.fact_id for event in history if isinstance(event, Fact)]
    assert len(facts) == len(set(facts))
    assert not [event for event in history if isinstance(event, StepFailed)]


def pass_the_rest(system: WiredSystem) -> None:
    while skip(system):
        pass


# --- outages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "error", "begun"),
    [
        ("", "connection", 0),
        ("", "timeout", 1),
        ("", "throttled", 2),
        ("", "5xx", 4),
        ("dynamodb", "throttled", 1),
        ("dynamodb.PutItem", "throttled", 1),
        ("dynamodb.PutItem", "5xx", 2),
        ("sqs", "5xx", 1),
        ("s3", "connection", 1),
    ],
)
def test_all_ends_well_after_two_hours(system: WiredSystem, service: str, error: str, begun: int) -> None:
    for run_id, function in RUNS.items():
        requests.start(system.world, run_id, function, {})
    for number in (1, 2):
        requests.signal(system.world, "signals", "value", number)
    questions.send_update(system.world, "updates", "add", (5,))
    for _ in range(begun):
        for queue in QUEUES:
            system.poll(queue)
    back = system.clock.now() + HOURS
    away(system, service, ERRORS[error], back)
    wait_until(system, back + timedelta(minutes=5))
    requests.signal(system.world, "updates", "done")

    found = {run_id: finish(system, run_id) for run_id in RUNS}
    assert {run_id: (record.status, record.error) for run_id, record in found.items()} == dict.fromkeys(
        RUNS, ("completed", None)
    )
    assert {run_id: record.result for run_id, record in found.items()} == ENDS
    pass_the_rest(system)
    for run_id in (*RUNS, "parent/c1"):
        check(system, run_id)
    assert ran["once"] == ran["inline once"] == 1
    assert system.wire.failed
    assert not [queue for queue in system.stack.arns if system.stack.messages(queue)]
