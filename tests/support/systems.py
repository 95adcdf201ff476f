"""A World and all that serves it, driven by hand: one interface for tests that hold on every World.

Nothing waits for time to pass. A system's clock goes on by itself and can be put forward, which also brings what was to
be delivered later.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import boto3
import moto.sqs.models
import pytest

from tests.support.aws import QueueName, Stack
from tests.support.clock import start as start_of_test
from tests.support.lambdas import close_step_handler, failures, sqs_event, sqs_record
from worldflow.aws_handlers import create_orchestrator_handler, create_step_handler
from worldflow.engine.history import Event
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import load_workflows, sending, starting
from worldflow.serving.worker import Worker
from worldflow.settings import Settings
from worldflow.worlds import AWSWorld, LocalWorld, RunRecord, World
from worldflow.worlds.aws.access import AWSAccess
from worldflow.worlds.messages import Delayed, Message, load_message
from worldflow.worlds.recurrence import parse
from worldflow.worlds.served import Delivery

TURNS_LIMIT = 2_000
"""More than any test takes: beyond it something goes round in circles."""


class Clock:
    """Goes on by a millisecond each time that somebody looks at it, however busy the machine is."""

    def __init__(self) -> None:
        self._now = start_of_test().timestamp()
        self._lock = threading.Lock()

    def timestamp(self) -> float:
        with self._lock:
            self._now += 0.001
            return self._now

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.timestamp(), UTC)

    def forward(self, until: datetime) -> None:
        with self._lock:
            self._now = max(self._now, until.timestamp())


@dataclass(frozen=True)
class Received:
    """A message as its consumer gets it. `handle` is what the system acknowledges it by."""

    message: Message
    receives: int
    handle: Any


class System(Protocol):
    """A World with its orchestrator and step executor."""

    world: World
    clock: Clock

    def settle(self) -> None:
        """Lets everything happen that can happen now."""

    def next_due(self) -> datetime | None:
        """When the next thing happens by itself."""

    def receive(self, queue: Literal["runs", "steps"]) -> list[Received]:
        """What a consumer gets now. It is in flight until it is acknowledged or rejected."""

    def acknowledge(self, received: Sequence[Received]) -> None: ...
    def reject(self, received: Sequence[Received]) -> None: ...

    def restart(self) -> None:
        """Forgets what processes remember, as if all of them had died."""

    def fail_over(self) -> None:
        """Another process is at work from now on, and remembers what it knew when it last was."""


# --- what every system can do --------------------------------------------------------------------------------------


def start(system: System, run_id: str, workflow: Workflow[..., Any], **arguments: Any) -> None:
    """Starts a run and lets it go as far as it can without time passing."""
    starting.start(system.world, run_id, workflow, arguments)
    system.settle()


def signal(system: System, run_id: str, name: str, value: Any = None) -> None:
    sending.signal(system.world, run_id, name, value, signal_id=f"{name}-1")
    system.settle()


def cancel(system: System, run_id: str) -> None:
    sending.cancel(system.world, run_id)
    system.settle()


def skip(system: System) -> bool:
    """Goes on to the next moment at which something is due. Returns whether there is one."""
    due = system.next_due()
    if due is None:
        return False
    system.clock.forward(due)
    system.settle()
    return True


def finish(system: System, run_id: str) -> RunRecord:
    """Lets time pass until the run has ended."""
    system.settle()
    for _ in range(TURNS_LIMIT):
        record = system.world.read_run(run_id)
        if record.ended or record.status == "blocked":
            return record
        assert skip(system), f"run {run_id!r} waits for something that never arrives"
    raise AssertionError(f"run {run_id!r} does not end")


def story(system: System, run_id: str) -> list[tuple[str, dict[str, Any]]]:
    """The run's events, without what differs from one run to the next."""
    return [told(event) for event in system.world.read_events(run_id)]


def told(event: Event) -> tuple[str, dict[str, Any]]:
    payload = event.payload
    for moment in ("due", "created_at", "seed", "waited"):
        payload.pop(moment, None)
    if payload.get("webhook"):
        payload.pop("token")  # it says when it expires
    if "error" in payload:
        payload["error"] = {key: payload["error"].get(key) for key in ("type", "message", "args")}
    return event.event_type, payload


# --- SQLite --------------------------------------------------------------------------------------------------------


class LocalSystem:
    def __init__(self, path: str | Path) -> None:
        self.clock = Clock()
        self.world = LocalWorld(
            path, clock=self.clock.now, synchronous="NORMAL", webhook_url="https://example.test/webhooks"
        )
        self.restart()

    def restart(self) -> None:
        # One step at a time, so that results arrive in the same order each time.
        self._worker = Worker(self.world, concurrency=1)
        self._spare = Worker(self.world, concurrency=1)
        self.world.recover()

    def fail_over(self) -> None:
        self._worker, self._spare = self._spare, self._worker

    def settle(self) -> None:
        asyncio.run(self._settle())

    async def _settle(self) -> None:
        for _ in range(TURNS_LIMIT):
            busy = self._worker.busy
            if not await self._worker.work() and not busy:
                return
            if self._worker.busy:
                await self._worker.pause(1)
        raise AssertionError("the system does not come to rest")

    def next_due(self) -> datetime | None:
        return self.world.next_due()

    def receive(self, queue: Literal["runs", "steps"]) -> list[Received]:
        return [Received(delivery.message, delivery.receives, delivery) for delivery in self.world.receive(queue)]

    def acknowledge(self, received: Sequence[Received]) -> None:
        self.world.acknowledge(_deliveries(received))

    def reject(self, received: Sequence[Received]) -> None:
        self.world.reject(_deliveries(received))
        due = self.world.next_due()
        assert due
        self.clock.forward(due)


def _deliveries(received: Sequence[Received]) -> list[Delivery]:
    return [one.handle for one in received]


@contextmanager
def local_system(path: str | Path) -> Iterator[LocalSystem]:
    system = LocalSystem(path)
    try:
        yield system
    finally:
        system.world.close()


# --- AWS -----------------------------------------------------------------------------------------------------------


class ClockedAccess(AWSAccess):
    clock = Clock()

    def now(self) -> datetime:
        return self.clock.now()


class ClockedAWSWorld(AWSWorld):
    access: ClockedAccess

    def _connect(self, settings: Settings | None, session: boto3.Session | None) -> AWSAccess:
        return ClockedAccess(settings, session=session)


@functools.cache
def aws_world(stack: Stack) -> ClockedAWSWorld:
    # One for all tests: its clients take longer to make than most tests to run.
    return ClockedAWSWorld(stack.settings, session=stack.session)


class AWSSystem:
    """Does what Lambda's pollers and EventBridge Scheduler do on AWS."""

    steps_at_once = 1
    """Steps in one invocation: one, as the template has it, so that results arrive in the same order each time."""

    def __init__(self, stack: Stack, clock: Clock, world: ClockedAWSWorld | None = None) -> None:
        self.stack = stack
        self.clock = clock
        self.world = world or aws_world(stack)
        self.world.access.clock = clock
        self._step_handler: Any = None
        self._recurring: dict[tuple[str, ...], datetime] = {}
        """Until when schedules that recur have done what they should."""
        self.restart()

    def restart(self) -> None:
        self.close()
        self._orchestrator = create_orchestrator_handler(self.world, scope=no_scope, turns_at_once=1)
        self._spare = create_orchestrator_handler(self.world, scope=no_scope, turns_at_once=1)
        self._step_handler = create_step_handler(self.world, scope=no_scope)

    def fail_over(self) -> None:
        self._orchestrator, self._spare = self._spare, self._orchestrator

    def close(self) -> None:
        if self._step_handler:
            close_step_handler(self._step_handler)

    def settle(self) -> None:
        self._run_schedules()
        for _ in range(TURNS_LIMIT):
            if not any([self.poll(queue) for queue in self.stack.arns if self.stack.messages(queue)]):
                return
        raise AssertionError("the system does not come to rest")

    def poll(self, queue: QueueName) -> bool:
        """Gives the messages of one receipt to the function behind the queue. Returns whether there were any."""
        arn = self.stack.arns[queue]
        size = 10 if queue in ("runs", "timers") else self.steps_at_once if queue == "steps" else 1
        messages = self.stack.receive(queue, size)
        if not messages:
            return False
        records = [
            sqs_record(
                arn,
                message.body,
                id=message.id,
                receives=message.approximate_receive_count,
                group=message.group_id,
                receipt=message.receipt_handle,
                sent_at=message.sent_timestamp / 1_000,
            )
            for message in messages
        ]
        failed = self._invoke(queue, records)
        for message in messages:
            if message.id in failed:
                self._put_back(queue, message)
            else:
                self.stack.delete(queue, message.receipt_handle)
        return True

    def _put_back(self, queue: QueueName, message: Any) -> None:
        self.stack.give_back(queue, message.receipt_handle)

    def deliver(self, queue: QueueName, *messages: Message) -> None:
        """Gives messages to the function behind the queue that were never in it."""
        assert not self._invoke(queue, [sqs_record(self.stack.arns[queue], message.dump()) for message in messages])

    def _invoke(self, queue: QueueName, records: Sequence[dict[str, Any]]) -> list[str]:
        handler = self._step_handler if queue == "steps" else self._orchestrator
        return failures(handler(sqs_event(*records)))

    def next_due(self) -> datetime | None:
        self._run_schedules()
        moments = [message.delayed_until / 1_000 for message in self.stack.messages("timers") if message.delayed]
        moments += [due.timestamp() for schedule in self.stack.schedules() if (due := self._due(schedule))]
        # A millisecond later, as moto asks for "after" and not "at".
        return datetime.fromtimestamp(min(moments) + 0.001, UTC) if moments else None

    def _run_schedules(self) -> None:
        for schedule in self.stack.schedules():
            while (due := self._due(schedule)) and due <= self.clock.now():
                target = schedule["Target"]
                assert target["Arn"] == self.stack.arns["timers"]
                body = target["Input"].replace("<aws.scheduler.scheduled-time>", f"{due:%Y-%m-%dT%H:%M:%SZ}")
                self.stack.sqs.send_message(QueueUrl=self.stack.urls["timers"], MessageBody=body)
                if schedule["ScheduleExpression"].startswith("at("):
                    self.stack.delete_schedule(schedule["Name"])
                    break
                self._recurring[_identity(schedule)] = due

    def _due(self, schedule: Mapping[str, Any]) -> datetime | None:
        """When a schedule fires next."""
        expression = schedule["ScheduleExpression"]
        if expression.startswith("at("):
            return _at(schedule)
        if schedule["State"] == "DISABLED":
            self._recurring.pop(_identity(schedule), None)
            return None
        done = self._recurring.setdefault(_identity(schedule), self.clock.now())
        start = schedule.get("StartDate")
        if start and done < start:
            return start.astimezone(UTC)
        return parse(expression, schedule["ScheduleExpressionTimezone"], start).after(done)

    def receive(self, queue: Literal["runs", "steps"]) -> list[Received]:
        self._run_schedules()
        while self.poll("timers"):
            pass
        received = []
        for message in self.stack.receive(queue, 10):
            content = load_message(message.body)
            assert not isinstance(content, Delayed)
            received.append(Received(content, message.approximate_receive_count, (queue, message.receipt_handle)))
        return received

    def acknowledge(self, received: Sequence[Received]) -> None:
        for one in received:
            self.stack.delete(*one.handle)

    def reject(self, received: Sequence[Received]) -> None:
        for one in received:
            self.stack.give_back(*one.handle)


def _identity(schedule: Mapping[str, Any]) -> tuple[str, ...]:
    return schedule["Name"], schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]


def _at(schedule: Mapping[str, Any]) -> datetime:
    assert schedule["ScheduleExpressionTimezone"] == "UTC"
    return datetime.strptime(schedule["ScheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)").replace(tzinfo=UTC)


def no_scope(**_: Any) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def clocked(clock: Clock) -> Iterator[None]:
    """Gives SQS the clock too: its delays and visibility timeouts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moto.sqs.models, "unix_time_millis", lambda: clock.timestamp() * 1_000)
        patch.setattr(moto.sqs.models, "unix_time", clock.timestamp)
        yield


@contextmanager
def aws_system(stack: Stack) -> Iterator[AWSSystem]:
    clock = Clock()
    with clocked(clock):
        system = AWSSystem(stack, clock)
        try:
            yield system
        finally:
            system.close()


# Registered once for all systems, as each process of a function does when it starts.
load_workflows(["workflows", "tests.support.workflows"])
