"""What was sent to a run in order is applied in order, however long nobody could take its turns."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.support.aws import Stack
from tests.support.systems import finish
from tests.support.wire import Asked, WiredSystem, wired_system
from worldflow import wait_for_signal, workflow
from worldflow.engine.workflow.execution import Execution
from worldflow.runtime import sending, starting
from worldflow.serving.outages import TURN_DEATHS, TURN_RECEIVES, backoff

AWAY = EndpointConnectionError(endpoint_url="https://aws.test")
HOURS = timedelta(hours=2)


@workflow(name="order_pair")
async def pair() -> list[Any]:
    return [await wait_for_signal("value"), await wait_for_signal("value")]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)


@pytest.fixture
def system(stack: Stack) -> Iterator[WiredSystem]:
    with wired_system(stack, patient=True) as system:
        starting.start(system.world, "r", pair, {})
        system.settle()
        yield system


def dynamodb_is_away(system: WiredSystem, until: datetime) -> None:
    def faults(asked: Asked) -> Exception | None:
        return AWAY if asked.serving and asked.name.startswith("dynamodb") and system.clock.now() < until else None

    system.wire.reset(faults)
    poll_until(system, until, system.poll)


def turns_are_throttled(system: WiredSystem, until: datetime) -> None:
    poll_until(system, until, lambda queue: bool(system.stack.receive(queue, 10)))


def poll_until(system: WiredSystem, until: datetime, poll: Callable[[Any], bool]) -> None:
    """Polls the queue of runs and its dead letters. Ten minutes later another signal comes."""
    second = system.clock.now() + timedelta(minutes=10)
    while (now := system.clock.now()) < until:
        while poll("dead-runs") or poll("runs"):
            pass
        moments = [system.next_due() or until, until, *([second] if now < second else [])]
        system.clock.forward(min(moments))
        if now < second <= system.clock.now():
            sending.signal(system.world, "r", "value", "second")


@pytest.mark.parametrize("nobody_takes_turns", [dynamodb_is_away, turns_are_throttled])
def test_two_signals_of_a_run_are_applied_in_order_after_two_hours(
    system: WiredSystem, nobody_takes_turns: Callable[[WiredSystem, datetime], None]
) -> None:
    sending.signal(system.world, "r", "value", "first")
    nobody_takes_turns(system, system.clock.now() + HOURS)

    assert not system.stack.messages("dead-runs")
    record = finish(system, "r")
    assert (record.status, record.result) == ("completed", ["first", "second"])


def test_a_signal_that_kills_its_turns_holds_the_next_until_its_run_is_blocked(
    system: WiredSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = 0

    def apply(*_: Any) -> None:
        nonlocal died
        died += 1
        system.die()

    sending.signal(system.world, "r", "value", "first")
    with monkeypatch.context() as patched:
        patched.setattr(Execution, "apply", apply)
        while system.reader.read_run("r").status != "blocked":
            while system.poll("runs"):
                pass
            if died == 1:
                sending.signal(system.world, "r", "value", "second")
            system.clock.forward(system.next_due() or system.clock.now())
    assert died == TURN_DEATHS

    sending.resume(system.world, "r")
    assert finish(system, "r").result == ["first", "second"]


def test_the_receives_of_a_message_outlast_its_retention() -> None:
    waits = [backoff(receives) for receives in range(1, TURN_RECEIVES + 1)]
    assert waits == sorted(waits)
    assert timedelta(seconds=sum(waits)) > timedelta(days=14)


def test_a_run_waits_a_minute_or_about_a_sixtieth_of_the_outage() -> None:
    waited = 0
    for receives in range(1, TURN_RECEIVES + 1):
        assert backoff(receives) <= max(60, waited / 56)
        waited += backoff(receives)
