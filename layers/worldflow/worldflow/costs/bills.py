"""From requests to dollars; and what the same run would have cost elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic_core import to_json

from worldflow.costs import prices
from worldflow.costs.logs import log_bytes
from worldflow.costs.metering import Asked
from worldflow.engine.history import (
    ChildStarted,
    Event,
    HookResumed,
    RunStarted,
    SignalReceived,
    StepRetryScheduled,
    StepScheduled,
    TimerStarted,
    UpdateReceived,
)
from worldflow.worlds.ledger import OUTCOME_DAYS
from worldflow.worlds.payloads import Whole, size_of_reference


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of a bill."""

    what: str
    amount: float
    price: float
    is_request: bool = True
    """Whether it is for requests, and not for what they leave behind: logs, traces, what is kept."""

    @property
    def dollars(self) -> float:
        return self.amount * self.price


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """What of a stack's parameters a bill depends on; the template's defaults."""

    step_batch: int = 1
    """`StepBatchSize`: the maximum number of step tasks in a batch."""
    traced: bool = False
    """Whether `Tracing` is `XRay`."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What a run costs, except compute, for given batch sizes of messages to runs and of step tasks."""

    batch: int
    step_batch: int
    charges: Sequence[Charge]

    @property
    def dollars(self) -> float:
        return sum(charge.dollars for charge in self.charges)

    @property
    def requests(self) -> float:
        """The dollars of its requests alone."""
        return sum(charge.dollars for charge in self.charges if charge.is_request)


def bill_of(asked: Asked, batch: int, deployment: Deployment = Deployment()) -> Bill:
    """The bill of what was asked for, line by line, without what is zero.

    batch: how many messages to runs come together. Of tasks of steps as many do, up to the deployment's limit.
    """
    s3, steps = asked.requests, min(batch, deployment.step_batch)
    invocations = asked.invocations(batch, steps)
    kept = prices.DYNAMODB_GB_MONTH + prices.RECOVERY_GB_MONTH
    charges = [
        Charge("DynamoDB write units", asked.write_units, prices.DYNAMODB_WRITE_UNIT),
        Charge("DynamoDB read units", asked.read_units, prices.DYNAMODB_READ_UNIT),
        Charge("SQS sends", asked.sends, prices.SQS_REQUEST),
        Charge("SQS receives", asked.receives(batch, steps), prices.SQS_REQUEST),
        Charge("SQS deletes", asked.deletes(batch, steps), prices.SQS_REQUEST),
        Charge("Lambda invocations", invocations, prices.LAMBDA_REQUEST),
        Charge("schedules", asked.schedules, prices.SCHEDULE),
        Charge("status events", asked.status_events, prices.CUSTOM_EVENT),
        Charge("S3 writes", s3["s3.PutObject"] + s3["s3.CopyObject"], prices.S3_WRITE),
        Charge("S3 reads", s3["s3.GetObject"], prices.S3_READ),
        Charge("KB of logs", log_bytes(asked, batch, steps) / 1024, prices.LOG_GB * 1024 / prices.GB, False),
        Charge("X-Ray traces", invocations * prices.TRACED if deployment.traced else 0, prices.TRACE, False),
        Charge(
            f"KB of ledger, {OUTCOME_DAYS} days",
            asked.ledger_bytes / 1024,
            kept * OUTCOME_DAYS / prices.MONTH_DAYS * 1024 / prices.GB,
            False,
        ),
        Charge("KB of history, a month", asked.kept_bytes / 1024, kept * 1024 / prices.GB, False),
    ]
    return Bill(batch, steps, [charge for charge in charges if charge.amount])


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a run, independent of the system that runs it."""

    attempts: int = 0
    """Of steps."""
    timers: int = 0
    waits: int = 0
    """For what others send."""
    children: int = 0
    data: int = 0
    """Bytes of the user's own: inputs, results, what was sent."""
    seconds: float = 0

    @property
    def operations(self) -> int:
        return self.attempts + self.timers + self.waits + self.children


def shape_of(events: Sequence[Event]) -> Shape:
    """The shape of a history."""

    def number(*kinds: type[Event]) -> int:
        return sum(isinstance(event, kinds) for event in events)

    began = next((event.created_at for event in events if isinstance(event, RunStarted)), None)
    return Shape(
        attempts=number(StepScheduled, StepRetryScheduled),
        timers=number(TimerStarted),
        waits=number(SignalReceived, HookResumed, UpdateReceived),
        children=number(ChildStarted),
        data=sum(_size(getattr(event, name)) for event in events for name in event.data_fields),
        seconds=(events[-1].at - began).total_seconds() if began else 0,
    )


def _size(value: object) -> int:
    value = value.stored if isinstance(value, Whole) else value
    return size_of_reference(value) or (0 if value is None else len(to_json(value, inf_nan_mode="constants")))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What a run would have cost with what people use instead, without Lambda's part."""

    name: str
    dollars: float | None
    """None where it could not have run there."""
    how: str
    """How that comes about."""


def elsewhere(shape: Shape) -> list[Elsewhere]:
    return [compare(shape) for compare in _OTHERS]


def _durable_functions(shape: Shape) -> Elsewhere:
    operations = 1 + shape.operations
    dollars = operations * prices.DURABLE_OPERATION + shape.data / prices.GB * prices.DURABLE_GB_WRITTEN
    how = (
        f"{operations:,} operations (the start, each attempt of a step, each wait and child) at "
        f"${prices.DURABLE_OPERATION * prices.MILLION:g} a million, and {shape.data:,} bytes written at "
        f"${prices.DURABLE_GB_WRITTEN:g} a GB"
    )
    return Elsewhere("AWS Lambda durable functions", dollars, how)


def _standard(shape: Shape) -> Elsewhere:
    transitions = 1 + shape.operations
    how = (
        f"{transitions:,} state transitions (the start, each attempt of a step, each wait and child) at "
        f"${prices.STATE_TRANSITION * prices.MILLION:g} a million"
    )
    return Elsewhere("Step Functions, Standard", transitions * prices.STATE_TRANSITION, how)


def _express(shape: Shape) -> Elsewhere:
    name = "Step Functions, Express"
    if shape.waits:
        return Elsewhere(name, None, "its workflows cannot wait for messages from outside")
    if shape.seconds > prices.EXPRESS_LONGEST:
        return Elsewhere(name, None, f"its workflows end after {prices.EXPRESS_LONGEST / 60:g} minutes")
    seconds = math.ceil(round(shape.seconds / prices.EXPRESS_SECONDS, 6)) * prices.EXPRESS_SECONDS
    dollars = prices.EXPRESS_REQUEST + seconds * prices.EXPRESS_MB / 1024 * prices.EXPRESS_GB_SECOND
    how = (
        f"one request at ${prices.EXPRESS_REQUEST * prices.MILLION:g} a million, and the {seconds:.1f} s that this run "
        f"took, with {prices.EXPRESS_MB} MB, at ${prices.EXPRESS_GB_SECOND:.8f} a GB-second; keeps no history, and may "
        f"run a step twice after a fault"
    )
    return Elsewhere(name, dollars, how)


_OTHERS: Sequence[Callable[[Shape], Elsewhere]] = (_durable_functions, _standard, _express)
