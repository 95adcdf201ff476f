"""A service of AWS refuses everything for a while: whatever was asked for meanwhile happens when it is back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.support.aws import Stack
from tests.support.systems import finish, skip
from tests.support.wire import Asked, WiredSystem, refused, wired_system
from worldflow import RetryPolicy, create_webhook, sleep, step, wait_for_signal, workflow
from worldflow.engine.history import Fact, TimerFired, TimerStarted
from worldflow.runtime import schedules, sending, starting, webhooks

LARGE = 70_000
AWAY = EndpointConnectionError(endpoint_url="https://aws.test")
THROTTLED = refused("ThrottlingException")


@step(name="away_work", retry=RetryPolicy(max_attempts=5, initial_interval="1s", jitter=0))
async def work(value: Any) -> Any:
    return value


@workflow(name="away_works")
async def works() -> int:
    total = await work(1)
    total += await work.options(inline=True)(1)
    await sleep("1s")
    return int(total + sum(await asyncio.gather(work(1), work(1))))


@workflow(name="away_signal")
async def takes_a_signal() -> Any:
    return await work(await wait_for_signal("value"))


@workflow(name="away_large")
async def large() -> int:
    return len(await work("x" * LARGE)) + len(await work.options(inline=True)("y" * LARGE))


@workflow(name="away_sleeps")
async def sleeps() -> str:
    await sleep("1d")
    return "awake"


@workflow(name="away_webhook")
async def webhook() -> str:
    return (await create_webhook()).text()


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)


@pytest.fixture
def system(stack: Stack) -> Iterator[WiredSystem]:
    with wired_system(stack, patient=True) as system:
        yield system


def break_down(
    system: WiredSystem,
    service: str,
    minutes: float,
    error: Exception = THROTTLED,
    *,
    unless: Callable[[Asked], bool] = lambda asked: False,
) -> None:
    """From now on, what this service is asked for is refused."""
    back = system.clock.now() + timedelta(minutes=minutes)

    def faults(asked: Asked) -> Exception | None:
        is_away = asked.name.startswith(service) and asked.serving and not unless(asked)
        return error if is_away and system.clock.now() < back else None

    system.wire.reset(faults)


def wait(system: WiredSystem, minutes: float) -> None:
    """Lets time pass, and all happen that is due meanwhile."""
    until = system.clock.now() + timedelta(minutes=minutes)
    system.settle()
    while (due := system.next_due()) and due <= until:
        assert skip(system)
    system.clock.forward(until)


def check(system: WiredSystem, run_id: str) -> None:
    """Nothing came twice, and nothing is left."""
    facts = [event.fact_id for event in system.reader.load_history(run_id) if isinstance(event, Fact)]
    assert len(facts) == len(set(facts))
    assert not [queue for queue in system.stack.arns if system.stack.messages(queue)]
    assert system.wire.failed, "nothing was refused"


# --- DynamoDB ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [2, 25])
def test_dynamodb_throttles_everything(system: WiredSystem, minutes: float) -> None:
    for number in range(3):
        starting.start(system.world, f"r{number}", works, {})
    system.poll("runs")
    break_down(system, "dynamodb", minutes)
    wait(system, minutes)

    assert [finish(system, f"r{number}").result for number in range(3)] == [4, 4, 4]
    while skip(system):
        pass
    for number in range(3):
        check(system, f"r{number}")


def test_it_does_so_for_longer_than_messages_are_tried(system: WiredSystem) -> None:
    starting.start(system.world, "r", takes_a_signal, {})
    system.settle()
    sending.signal(system.world, "r", "value", 7)
    break_down(system, "dynamodb", 180)
    wait(system, 180)

    assert finish(system, "r").result == 7  # and was not blocked
    check(system, "r")


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_page_of_a_long_history_cannot_be_read(system: WiredSystem, page: int) -> None:
    starting.start(system.world, "r", takes_a_signal, {})
    for number in range(50):
        sending.signal(system.world, "r", "other", f"{number}{'x' * 60_000}")  # more than two pages of 1 MB
        system.poll("runs")
    sending.signal(system.world, "r", "value", "read")
    system.restart()
    queries = 0

    def faults(asked: Asked) -> Exception | None:
        nonlocal queries
        queries += asked.name == "dynamodb.Query"
        return THROTTLED if queries == page and asked.name == "dynamodb.Query" else None

    system.wire.reset(faults)
    assert finish(system, "r").result == "read"
    check(system, "r")
    assert queries > 3


# --- S3 and Secrets Manager ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["s3", "s3.PutObject", "s3.GetObject"])
def test_large_data_has_no_place(system: WiredSystem, operation: str) -> None:
    starting.start(system.world, "r", large, {})
    break_down(system, operation, 3, AWAY)

    assert finish(system, "r").result == 2 * LARGE
    check(system, "r")


def test_nobody_knows_the_key_of_webhooks(system: WiredSystem) -> None:
    starting.start(system.world, "r", webhook, {})
    break_down(system, "secretsmanager", 5, refused("InternalServiceError"))
    wait(system, 8)
    (created,) = [event for event in system.world.load_history("r") if event.event_type == "HookCreated"]
    assert webhooks.receive(system.world, created.payload["token"], method="POST", body=b"hello").status == 202

    assert finish(system, "r").result == "hello"
    check(system, "r")


# --- Scheduler -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["ThrottlingException", "ServiceQuotaExceededException", "InternalServerException"])
@pytest.mark.parametrize("minutes", [2, 120])
def test_scheduler_takes_no_timer(system: WiredSystem, code: str, minutes: float) -> None:
    starting.start(system.world, "r", sleeps, {})
    break_down(system, "scheduler.CreateSchedule", minutes, refused(code))
    wait(system, minutes)

    assert finish(system, "r").result == "awake"
    started, fired = (event for event in system.world.load_history("r") if isinstance(event, TimerStarted | TimerFired))
    assert fired.at - started.at < timedelta(days=1, minutes=5)  # it is as late as the queue, and no later
    check(system, "r")


def test_scheduler_does_not_take_back_a_timer(system: WiredSystem) -> None:
    @workflow(name="away_in_time")
    async def in_time() -> Any:
        async with asyncio.timeout(86_400):
            return await wait_for_signal("value")

    starting.start(system.world, "r", in_time, {})
    system.settle()
    break_down(system, "scheduler.DeleteSchedule", 2)
    sending.signal(system.world, "r", "value", 7)

    assert finish(system, "r").result == 7
    while skip(system):
        pass
    check(system, "r")
    assert system.stack.schedules() == []


@pytest.mark.parametrize("code", ["ThrottlingException", "ServiceQuotaExceededException"])
def test_who_creates_a_schedule_is_told_and_asks_again(system: WiredSystem, code: str) -> None:
    definition: dict[str, Any] = {"workflow": works, "schedule": "rate(1 hour)"}
    system.wire.reset(lambda asked: refused(code) if asked.name == "scheduler.CreateSchedule" else None)
    with pytest.raises(ClientError, match=code):
        schedules.create(system.world, "hourly", **definition)
    assert system.stack.schedules() == []

    system.wire.reset()
    schedules.create(system.world, "hourly", **definition)
    assert len(system.stack.schedules()) == 1
    assert skip(system)
    assert len(system.world.list_runs().runs) == 1
