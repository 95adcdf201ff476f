"""The wire between `AWSWorld` and AWS, on which single requests fail.

A request fails before it is sent, so that it takes no effect, or after it took effect, so that its answer is lost. Who
asked sees an error of botocore's; or does not live to see one, when the process dies at that moment. botocore itself
asks again only where a test says so.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.support.aws import QueueName, Stack
from tests.support.systems import AWSSystem, Clock, ClockedAccess, ClockedAWSWorld, aws_world, clocked
from worldflow.settings import Settings
from worldflow.worlds import World
from worldflow.worlds.aws.access import AWSAccess


def _config(attempts: int) -> Config:
    retries: Any = {"mode": "standard", "total_max_attempts": attempts}
    return Config(retries=retries, max_pool_connections=20)


class Crash(BaseException):
    """The process dies."""


class Fault(Enum):
    THROTTLED = "is throttled"
    UNANSWERED = "takes effect, and its answer is lost"
    REPEATED = "takes effect, its answer is lost, and botocore asks again"
    DIED_BEFORE = "is not sent: the process dies"
    DIED_AFTER = "takes effect, and the process dies"

    @property
    def took_effect(self) -> bool:
        return self in (Fault.UNANSWERED, Fault.REPEATED, Fault.DIED_AFTER)

    @property
    def died(self) -> bool:
        return self in (Fault.DIED_BEFORE, Fault.DIED_AFTER)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its number, its name (`dynamodb.PutItem`), and who made it."""

    number: int
    name: str
    method: str
    """The method of the World."""
    serving: QueueName | None
    """The queue whose function made it; None for a client."""

    def __str__(self) -> str:
        return f"request {self.number} ({self.name} of {self.method}, {self.serving or 'client'})"


Faults = Callable[[Asked], Fault | Exception | None]
"""What happens to a request, if anything; an exception is what its client sees of it, and it takes no effect."""


def none(asked: Asked) -> None:
    return None


class Wire:
    """Counts the requests of its clients, and lets those fail that `faults` names."""

    def __init__(self) -> None:
        self._clients: dict[tuple[str, int], Any] = {}
        self._lock = threading.Lock()
        self._under_way = threading.local()
        self.serving: QueueName | None = None
        """The queue whose function is at work."""
        self.dead = False
        """The process at this end is dead: what user code makes of that, nobody hears of it."""
        self.reset()

    def reset(self, faults: Faults = none, *, attempts: int = 1) -> None:
        """
        attempts: how often botocore makes a request that gets no answer. For Worlds that have asked for nothing yet.
        """
        self.faults = faults
        self._attempts = attempts
        self.asked: list[Asked] = []
        self.failed: list[tuple[Asked, Fault | Exception]] = []

    def client(self, session: Any, service: str) -> Any:
        """A client whose requests go over this wire."""
        with self._lock:
            key = service, self._attempts
            if key not in self._clients:
                client = session.client(service, config=_config(self._attempts))
                # moto answers between the two. What is raised here, botocore takes for the failure of the connection.
                client.meta.events.register_first("before-send", functools.partial(self._before, service))
                client.meta.events.register_last("before-send", self._after)
                self._clients[key] = client
            return self._clients[key]

    def _before(self, service: str, event_name: str, **_: Any) -> None:
        if self.dead:
            raise Crash("it is dead")
        with self._lock:
            asked = Asked(len(self.asked), f"{service}.{event_name.rpartition('.')[2]}", _method(), self.serving)
            self.asked.append(asked)
            fault = self.faults(asked)
            if fault:
                self.failed.append((asked, fault))
        self._under_way.fault = None
        if isinstance(fault, Exception):
            raise fault
        if fault and fault.took_effect:
            self._under_way.fault = fault, asked
        elif fault:
            self._fail(fault, asked)

    def _after(self, **_: Any) -> None:
        if self._under_way.fault:
            self._fail(*self._under_way.fault)

    def _fail(self, fault: Fault, asked: Asked) -> None:
        if fault.died:
            self.dead = True
            raise Crash(f"{asked} {fault.value}")
        if fault.took_effect:
            raise ReadTimeoutError(endpoint_url="https://aws.test")
        raise refused("ThrottlingException")


def refused(code: str) -> ClientError:
    """What botocore raises for an answer of this code."""
    return ClientError({"Error": {"Code": code, "Message": "as the test has it"}}, "Request")


ITEMS = {"get_item", "put_item", "update_item", "list_items", "disarm_schedule"}
"""Behind functions of `worldflow.worlds`, whose names say more."""

METHODS = {
    **{f"AWSWorld.{name}": name for name in World.__abstractmethods__ - ITEMS},
    **{f"AWSWorld.{name}": name for name in ("copy_payload", "get_run_and_item", "redrive", "set_aside")},
    **{name: name for name in ("put_generation", "get_generation", "put_hook", "get_hook", "delete_hook")},
    **{name: name for name in ("put_outcome", "get_outcome", "claim", "abandon", "is_abandoned")},
    **{name: name for name in ("begin", "beat", "last_beat")},
    **{name: name for name in ("get_schedule", "put_schedule", "list_schedules", "remove_schedule")},
    "AWSWebhooks.keys": "webhook_keys",
    "AWSMessages._send_batch": "send",  # in a thread of its own, perhaps
    "AWSMessages._schedule": "send",
    "AWSMessages.postpone": "postpone",
    "AWSDeaths._write": "note of a death",
    "AWSDeaths.count": "deaths",
}


def _method() -> str:
    """The method of the World, or the function over its items, that makes the request of this thread."""
    frame = sys._getframe(1)
    while frame.f_back:
        frame = frame.f_back
        qualified = frame.f_code.co_qualname
        if qualified in METHODS:
            return METHODS[qualified]
    return "?"


class WiredWorld(ClockedAWSWorld):
    """An `AWSWorld` whose requests go over a wire."""

    def __init__(self, stack: Stack, wire: Wire) -> None:
        self._wire = wire
        super().__init__(stack.settings, session=stack.session)

    def _connect(self, settings: Settings | None, session: boto3.Session | None) -> AWSAccess:
        return WiredAccess(self._wire, settings, session)


class WiredAccess(ClockedAccess):
    def __init__(self, wire: Wire, settings: Settings | None, session: boto3.Session | None) -> None:
        super().__init__(settings, session=session)
        self._wire = wire

    def client(self, service: str) -> Any:
        return self._wire.client(self.session, service)


class WiredSystem(AWSSystem):
    """A system whose requests may fail, and whose functions may die of that or of the user's code.

    What they were at work on comes again: at once, or if it is `patient`, as on AWS, when the visibility timeout is
    over; it is in flight until then.
    """

    def __init__(self, stack: Stack, clock: Clock, wire: Wire, *, patient: bool = False) -> None:
        self.wire = wire
        self.patient = patient
        self.deaths: list[tuple[QueueName, BaseException]] = []
        """The functions that died, or failed with all that they were given: by their queues, and of what."""
        self.reader = aws_world(stack)
        """A World whose requests are nobody's."""
        self.reader.access.clock = clock
        super().__init__(stack, clock, WiredWorld(stack, wire))

    def restart(self) -> None:
        self.wire.dead = False
        # With nothing of what the World remembered either.
        self.world = WiredWorld(self.stack, self.wire)
        self.world.access.clock = self.clock
        super().restart()

    def die(self) -> None:
        """The process that calls this does so no more."""
        self.wire.dead = True
        raise Crash("it dies")

    def next_due(self) -> datetime | None:
        moments = [super().next_due()]
        if self.patient:
            in_flight = [message.visible_at for queue in self.stack.arns for message in self.stack.messages(queue)]
            now = self.clock.now().timestamp() * 1_000
            # A second later: what was received together becomes visible together.
            moments += [datetime.fromtimestamp(at / 1_000 + 1, UTC) for at in in_flight if at > now]
        return min((moment for moment in moments if moment), default=None)

    def _put_back(self, queue: QueueName, message: Any) -> None:
        if not self.patient:
            super()._put_back(queue, message)

    def _invoke(self, queue: QueueName, records: Any) -> list[str]:
        self.wire.serving = queue
        try:
            return super()._invoke(queue, records)
        except (Crash, Exception) as error:
            self.deaths.append((queue, error))
            self.restart()
            return [record["messageId"] for record in records]
        finally:
            self.wire.serving = None


@contextmanager
def wired_system(stack: Stack, wire: Wire | None = None, *, patient: bool = False) -> Iterator[WiredSystem]:
    """A system with nothing in it, on a wire on which nothing fails yet."""
    stack.empty()
    wire = wire or Wire()
    wire.reset()
    clock = Clock()
    with clocked(clock):
        system = WiredSystem(stack, clock, wire, patient=patient)
        try:
            yield system
        finally:
            system.close()
