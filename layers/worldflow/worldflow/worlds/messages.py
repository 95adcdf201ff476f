"""The messages between the functions.

To the orchestrator, in the queue of runs, grouped by run: `RunMessage`. To the step executor, in the queue of steps,
each in a group of its own: `StepTask`. To the orchestrator, of a schedule: `ScheduleMessage`. Facts travel in the
messages themselves. On the wire each is a JSON object with a version `v`; one of another version is refused, so that it
waits in the queue for a deployment that knows it.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic_core import from_json, to_json

from worldflow.engine.history import (
    AnyFact,
    Json,
    Parent,
    StepCompleted,
    StepFailed,
    TerminateRequested,
)
from worldflow.worlds.kinds import OneOf

_SAFE_ID = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}")


def safe_id(text: str) -> str:
    """`text` as a queue's deduplication or group id: itself where that is allowed, else a hash of it."""
    return text if _SAFE_ID.fullmatch(text) else hashlib.sha256(text.encode()).hexdigest()


_FACTS = OneOf("event_type", {kind.event_type: kind for kind in get_args(AnyFact)})
_OUTCOMES = OneOf("event_type", {kind.event_type: kind for kind in (StepCompleted, StepFailed)})


class _Value(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, ser_json_inf_nan="constants", defer_build=True)


class _Sent(_Value):
    v: Literal[1] = 1

    def dump(self) -> str:
        """The message's text. SQS refuses two characters, which JSON has in strings only: they are escaped."""
        return self.model_dump_json(exclude_none=True).replace("\ufffe", r"\ufffe").replace("\uffff", r"\uffff")


class BaseMessage(_Sent):
    run_id: str

    @property
    def group(self) -> str:
        """Messages of one group are handled one at a time, in order."""
        raise NotImplementedError

    @property
    def dedup_id(self) -> str:
        """The same for every copy of this message, and for no other."""
        raise NotImplementedError


class _RunMessage(BaseMessage):
    @property
    def group(self) -> str:
        return safe_id(self.run_id)


class Start(_RunMessage):
    """A run's record exists: begin. Carries nothing, since the record has it all."""

    kind: Literal["start"] = "start"
    asked_by: Parent | None = None
    """The call that starts a child. A child that has already ended sends its outcome to this call."""
    due: datetime | None = None
    """The start of a delayed run: it was sent to arrive at this moment, which is over by the queue's clock."""
    nonce: str | None = None
    """Tells it from the first one of a delayed run, which may have come in vain: the queue would drop it as a copy."""

    @property
    def dedup_id(self) -> str:
        asked_by = f":{self.asked_by.run_id}/{self.asked_by.child_id}" if self.asked_by else ""
        due = f"@{self.due.astimezone(UTC).isoformat()}" if self.due else ""
        nonce = f":{self.nonce}" if self.nonce else ""
        return safe_id(f"{self.run_id}:start{asked_by}{due}{nonce}")


def start_of(
    run_id: str, start_at: datetime | None, asked_by: Parent | None = None, nonce: str | None = None
) -> Start | Delayed:
    """The message that starts a run: delayed where the run is."""
    start = Start(run_id=run_id, asked_by=asked_by, due=start_at, nonce=nonce)
    return Delayed(due=start_at, message=start) if start_at else start


class Revival(_Value):
    """The run that is to be started for a signal, if the one that it was sent to has ended."""

    workflow_name: str
    input: Json = None


class FactArrived(_RunMessage):
    """Something happened."""

    kind: Literal["fact"] = "fact"
    fact: Annotated[AnyFact, _FACTS]
    nonce: str | None = None
    """Tells apart messages of one fact that the queue must not take for copies: a run may be asked twice to cancel."""
    revival: Revival | None = None
    unrecorded: bool | None = None
    """It is the outcome of an attempt, and the ledger was away: it goes there before it goes into the history."""
    call: str | None = None
    """Of an outcome that is unrecorded: see `StepOutcome`."""

    @property
    def is_timeout(self) -> bool:
        """Whether it says that an attempt has taken too long."""
        return self.nonce is not None and self.nonce.startswith("timeout")

    @property
    def dedup_id(self) -> str:
        return safe_id(":".join(filter(None, [self.run_id, self.fact.fact_id, self.nonce])))


class StepDue(_RunMessage):
    """It is time for attempt `attempt` of a step. A wake-up and not a fact: it is never recorded."""

    kind: Literal["step_due"] = "step_due"
    step_id: str
    attempt: int
    granted: datetime | None = None
    """When its limit has let the attempt through."""
    look: datetime | None = None
    """It waits at its limit: look whether those that hold a place are alive. When this is due."""
    after_pause: str | None = None
    """The pause that has put the attempt off. The queue is not to take this for a copy of what came during it."""

    @property
    def dedup_id(self) -> str:
        granted = f":granted:{self.granted.isoformat()}" if self.granted else ""
        look = f":look:{self.look.isoformat()}" if self.look else ""
        pause = f":after:{self.after_pause}" if self.after_pause else ""
        return safe_id(f"{self.run_id}:due:{self.step_id}/{self.attempt}{granted}{look}{pause}")


class HeartbeatDue(_RunMessage):
    """Look whether attempt `attempt` of a step has sent a heartbeat. A wake-up and not a fact: it is never recorded."""

    kind: Literal["heartbeat_due"] = "heartbeat_due"
    step_id: str
    attempt: int
    due: datetime

    @property
    def dedup_id(self) -> str:
        return safe_id(f"{self.run_id}:heartbeat:{self.step_id}/{self.attempt}:{self.due.isoformat()}")


class Poke(_RunMessage):
    """Look again: do once more whatever is open."""

    kind: Literal["poke"] = "poke"
    after: int | None = None
    """Only requests after this event: the turn that sent this has made the earlier ones."""
    reread: bool | None = None
    """The history was restored to an earlier moment: what a process remembers of the run may be ahead of it."""
    place: tuple[str, str, str] | None = None
    """The place at a limit that the run has or waits for: the limit's name, the key, and the token."""
    nonce: str = Field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def dedup_id(self) -> str:
        return safe_id(f"{self.run_id}:poke:{self.nonce}")


def is_about_a_place(message: RunMessage) -> bool:
    """Whether a message says that a run has a place at a limit, or is to look for one."""
    return isinstance(message, Poke) and message.place is not None


def call_id(name: str, recorded_input: Json) -> str:
    called = to_json([name, recorded_input], inf_nan_mode="constants")
    return hashlib.blake2b(called, digest_size=8).hexdigest()


class StepTask(BaseMessage):
    """Run one attempt of a step."""

    kind: Literal["step"] = "step"
    step_id: str
    attempt: int = 1
    name: str
    input: Json = None
    redo: bool = False
    """Sent again after a crash: the attempt may have an outcome already."""
    again: str | None = None
    """The id of the dead letter that this was: it had met outages."""
    timeout: float | None = None
    """Seconds that the attempt may take."""
    deadline: datetime | None = None
    """When the run takes the attempt for failed: after it there is no sense in beginning."""
    heartbeats: bool | None = None
    """The attempt is to send heartbeats, and the one before may have."""
    at_most_once: bool | None = None
    ledger: bool | None = None
    """`False`: the outcome is sent without being recorded first."""
    waits: bool | None = None
    """The run waits for an outcome also when it does not want the attempt any more."""
    origin: str | None = None
    """The run in which the step was scheduled, if this one continues that run."""
    traceparent: str | None = None
    """The span of the run, where it is in a trace."""
    headers: dict[str, str] | None = None
    """Those of the run."""
    call_id: str | None = None
    """The `call`, where the history has something else in place of `input`, which may be encoded anew each time."""
    slot: str | None = None
    """The group of the queue that stands for a place at an approximate limit."""
    report: bool | None = None
    """Nothing is to be run: the run has given the attempt up, and wants to know when no process has it any more."""
    queue: str | None = None
    """The step queue, unless it is the default one."""

    @property
    def call(self) -> str:
        """What is called with what, in a few characters: another call under the same id has others."""
        return self.call_id or call_id(self.name, self.input)

    @property
    def group(self) -> str:
        if self.slot is not None:
            return safe_id(self.slot)
        # Not one for all attempts of a step: a retry is not to wait for the attempt before it, which may hang.
        return safe_id(f"{self.run_id}#{self.step_id}#{self.attempt}")

    @property
    def dedup_id(self) -> str:
        again = f":{self.again}" if self.again else ""
        return safe_id(f"{self.run_id}:{self.step_id}:{self.attempt}{again}")


class ScheduleDue(_Sent):
    """A schedule is due: start its run. On AWS, EventBridge Scheduler sends it to the queue of timers."""

    kind: Literal["schedule_due"] = "schedule_due"
    schedule_id: str
    due: datetime

    @property
    def run_id(self) -> str:
        """The run that it starts: the same for every copy of this message."""
        return f"{self.schedule_id}:{self.due.astimezone(UTC):%Y%m%dT%H%M%SZ}"

    @classmethod
    def of_run(cls, schedule_id: str, run_id: str) -> ScheduleDue:
        """The message that starts a run."""
        return cls(schedule_id=schedule_id, due=datetime.fromisoformat(run_id.removeprefix(f"{schedule_id}:")))

    @field_validator("due")
    @classmethod
    def _in_utc(cls, due: datetime) -> datetime:
        try:
            return due.astimezone(UTC)
        except OverflowError:
            raise ValueError("must be a time that can be converted to UTC") from None

    @property
    def group(self) -> str:
        return schedule_group(self.schedule_id)

    @property
    def dedup_id(self) -> str:
        return safe_id(f"schedule#{self.run_id}")


def schedule_group(schedule_id: str) -> str:
    """The group of a schedule's `ScheduleDue` messages, which no run has."""
    return safe_id(f"schedule#{schedule_id}")


class ScheduledRunEnded(_Sent):
    """A run of a schedule has ended: start the next one, if one waits for that."""

    kind: Literal["scheduled_run_ended"] = "scheduled_run_ended"
    schedule_id: str
    run_id: str

    @property
    def group(self) -> str:
        return safe_id(f"schedule#{self.schedule_id}:ended")

    @property
    def dedup_id(self) -> str:
        return safe_id(f"schedule#{self.schedule_id}:ended:{self.run_id}")


RunMessage = Start | FactArrived | StepDue | HeartbeatDue | Poke
ScheduleMessage = ScheduleDue | ScheduledRunEnded
Message = RunMessage | StepTask | ScheduleMessage
_KINDS = {kind.model_fields["kind"].default: kind for kind in get_args(Message)}


class Delayed(_Sent):
    """A message that waits in the queue of timers until `due`."""

    kind: Literal["delayed"] = "delayed"
    due: datetime
    message: Annotated[Message, OneOf("kind", _KINDS)]


class StepOutcome(_Value):
    """The outcome of an attempt of a step."""

    run_id: str
    fact: Annotated[StepCompleted | StepFailed, _OUTCOMES]
    call: str | None = None
    """That of the task; None where it was recorded by a version that did not say."""

    def is_of(self, call: str | None) -> bool:
        """Whether this is the outcome of a call. A run that is restored to a point in time may then call another step,
        or with other arguments, under an id that was used before.
        """
        return self.call is None or call is None or self.call == call


@cache
def _messages() -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[Any, OneOf("kind", _KINDS | {"delayed": Delayed})])


def load_message(text: str | bytes) -> Message | Delayed:
    """The message of a queue's body. Raises pydantic's `ValidationError` for what is none."""
    message: Message | Delayed = _messages().validate_json(text)
    return message


def may_be_message(body: str) -> bool:
    """Whether a body may be a message of some version of this code."""
    try:
        message = from_json(body)
    except ValueError:
        return False
    return isinstance(message, dict) and "v" in message


def undelivered(body: str) -> str:
    """The message of a dead letter. That of Scheduler is the request to SQS which failed, with the message in it."""
    try:
        request = from_json(body)
    except ValueError:
        return body
    match request:
        case {"MessageBody": str(message)}:
            return message
    return body


def summary(error: ValidationError) -> str:
    """What is wrong with a body, without what it says: pydantic's own texts quote it."""
    details = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, detail['loc'])) or 'body'}: {detail['type']}" for detail in details)


def termination(run_id: str, *, successor: str) -> FactArrived:
    """Tells a run to end at once, since another takes its place."""
    fact = TerminateRequested(reason="replaced by another run", successor=successor)
    return FactArrived(run_id=run_id, fact=fact, nonce=successor)


Outgoing = Message | Delayed
