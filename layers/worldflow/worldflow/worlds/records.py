"""The records of a World, and the pages in which they are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import (
    Attribute,
    Failure,
    Json,
    Parent,
    RunCancelled,
    RunCompleted,
    RunContinued,
    RunFailed,
    RunForked,
    RunPaused,
    end_status,
)
from worldflow.engine.history.state import RunState
from worldflow.engine.usage import Entry

Status = Literal["pending", "running", "completed", "failed", "cancelled", "continued", "blocked", "paused"]


ENDED: frozenset[Status] = frozenset({"completed", "failed", "cancelled", "continued"})


class Fork(BaseModel):
    """Where the history of a run begins that continues another's."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    run_id: str
    after: int | None = None
    """The last event that is taken over; None for all up to the failure."""
    edit: Json = None
    """Data in place of that of the other run, by the numbers of the events, as it is stored."""

    @classmethod
    def of(cls, forked: RunForked) -> Fork:
        return cls(run_id=forked.run_id, after=forked.after, edit=forked.edit)


class Gathers(BaseModel):
    """How a run gathers starts before it begins."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    window: str
    """The key of the item that says which run gathers."""
    period: float | None = None
    """Seconds without another start after which it begins."""
    max_wait: float | None = None
    """Seconds after the first start in which it begins."""
    size: int | None = None
    """Items with which it begins."""
    items: int = 1
    """Those of the first start."""
    parameter: str | None = None
    """The argument of which it gets all items; None where it gets the last input."""

    def closes_at(self, first: datetime, last: datetime) -> datetime:
        """When it begins, after starts of which the first and the last came then."""
        ends = []
        if self.period is not None:
            ends.append(last + timedelta(seconds=self.period))
        if self.max_wait is not None:
            ends.append(first + timedelta(seconds=self.max_wait))
        return min(ends)


class Pause(BaseModel):
    """Since when a run is paused, by whom and why."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    at: datetime
    by: str | None = None
    reason: str | None = None
    of_workflow: bool | None = None
    """All runs of its workflow are."""

    @classmethod
    def of(cls, paused: RunPaused) -> Pause:
        return cls(at=paused.at, by=paused.by, reason=paused.reason, of_workflow=paused.of_workflow)


class HookRecord(BaseModel):
    """Who holds a hook's token."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    token: str
    run_id: str
    hook_id: str
    metadata: Json = None
    webhook: bool | None = None
    answers: bool | None = None
    """The workflow answers the requests to this webhook."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The last heartbeat of an attempt."""

    at: datetime
    details: Json = None


@dataclass(frozen=True, slots=True)
class Redriven:
    """The result of a redrive of dead letters."""

    moved: int = 0
    unreadable: int = 0
    """No messages of ours."""
    in_flight: int = 0
    """Being tried right now: they are handled, or there again soon."""


class RunRecord(BaseModel):
    """What is known of a run without its history. `seq` is that of the history it reflects."""

    model_config = ConfigDict(extra="allow", frozen=True, ser_json_inf_nan="constants", defer_build=True)

    run_id: str
    workflow_name: str
    status: Status = "running"
    """Never `pending`, which is derived: `running` with a history that is still empty."""
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    seq: int = 0
    input: Json = None
    result: Json = None
    error: Failure | None = None
    blocked_reason: str | None = None
    paused: Pause | None = None
    version: int | None = None
    """The workflow's version; None for the highest, until the run has begun."""
    attributes: dict[str, Attribute] = {}
    status_text: str | None = None
    reason: str | None = None
    """Why it was cancelled."""
    parent: Parent | None = None
    next_run_id: str | None = None
    """The generation that follows a run that is `continued`."""
    fork_of: Fork | None = None
    replaces: str | None = None
    """For a run that has not begun: the one that is to end at once, since this one takes its place."""
    carried: Json = None
    """For a run that has not begun: what the generation before left unread."""
    seen: list[str] = []
    limit: dict[str, Any] | None = None
    """For a run that has not begun: the place at its workflow's limit that it takes over from the run before."""
    restored: bool | None = None
    """For a run that has not begun: it may have begun before, in a history that was lost."""
    start_at: datetime | None = None
    """The run begins no earlier than this."""
    attempt: int | None = None
    """Which attempt of its workflow this is, where that is tried again when it fails; None for the first."""
    max_attempts: int | None = None
    """How many there are at most, where there may be more than one."""
    first_at: datetime | None = None
    """For a run that has not begun: when the first attempt did."""
    gathers: Gathers | None = None
    """For a run that has not begun: it gathers starts."""
    gathered: int | None = None
    """How many starts it has gathered."""
    throttled: bool | None = None
    """For a run that has not begun: `start_at` is the time of its place among those that are throttled."""
    expires_at: datetime | None = None
    """For a run that has not begun: when the time is over that it has with the generations before it."""
    notifies_schedule: str | None = None
    """For a run that has not begun: the schedule that is notified when it ends."""
    archived_at: datetime | None = None
    """From then on its history is in the archive, and it is followed by no other."""
    newest_run_id: str | None = None
    """Of a run that is archived: the newest of its generations."""
    streams: list[str] | None = None
    """The names of its streams, in the record of the first of archived generations."""
    traceparent: str | None = None
    """The span in which the run was started; or its own, where it begins a trace."""
    headers: dict[str, str] | None = None
    """What it carries for interceptors, with all that it calls."""
    usage: list[Entry] | None = None
    """The tokens that its steps have recorded, by model; of an open run, as of `seq`."""

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def describe(self) -> dict[str, Any]:
        """The record as JSON values, as the API and the command line show it."""
        hidden = {name for name in ("attributes", "seen") if not getattr(self, name)}
        hidden |= {
            "carried",
            "limit",
            "restored",
            "newest_run_id",
            "streams",
            "first_at",
            "throttled",
            "gathers",
            "notifies_schedule",
        }
        described = self.model_dump(mode="json", exclude_none=True, exclude=hidden)
        if self.fork_of:
            described["fork_of"].pop("edit", None)  # which its history has
        return described


LISTED = (
    "run_id",
    "workflow_name",
    "status",
    "created_at",
    "updated_at",
    "ended_at",
    "seq",
    "attributes",
    "status_text",
)
"""The fields of a record in a list: those in the indexes of the table on AWS."""


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some records, newest first, with the fields of `LISTED`. `cursor` asks for those that follow, if any."""

    runs: Sequence[RunRecord]
    cursor: str | None = None


STATUSES: tuple[Status, ...] = tuple(status for status in get_args(Status) if status != "pending")
"""Those that lists have."""


def check_status(status: str | None) -> None:
    """Raises `InvalidInputError` for what no record has as its status. `pending` runs are listed as `running`."""
    if status is not None and status not in STATUSES:
        rule = f"one of {', '.join(STATUSES)}"
        raise InvalidInputError(
            f"{status!r} is not a valid status: it must be {rule}", [FieldError("status", f"must be {rule}")]
        )


def check_limit(limit: int) -> None:
    """Raises `InvalidInputError` for a limit of a page that leaves no place for anything."""
    if limit < 1:
        raise InvalidInputError(f"limit must be at least 1, not {limit}", [FieldError("limit", "must be at least 1")])


def check_cursor(cursor: str) -> tuple[str, str]:
    """The time and the run id of a cursor of `list_runs`. Raises `InvalidInputError`."""
    moment, _, run_id = cursor.partition("#")
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        run_id = ""
    if not run_id:
        raise InvalidInputError(
            f"{cursor!r} is not a valid cursor", [FieldError("cursor", "must come from a previous page")]
        )
    return moment, run_id


def cursor_after(record: RunRecord) -> str:
    """The cursor of `list_runs` for the runs that follow this one."""
    return f"{time_text(record.created_at)}#{record.run_id}"


def run_record(run_id: str, state: RunState, blocked: str | None, now: datetime) -> RunRecord:
    """The record of a run as its history tells it."""
    started, ended = state.started, state.ended
    assert started is not None
    open_status: Status = "paused" if state.paused else "blocked" if blocked else "running"
    status: Status = end_status(ended) if ended else open_status
    return RunRecord(
        run_id=run_id,
        workflow_name=started.workflow_name,
        version=started.version,
        status=status,
        created_at=started.created_at,
        updated_at=now,
        ended_at=ended.at if ended else None,
        seq=state.seq,
        input=started.input,
        result=ended.result if isinstance(ended, RunCompleted) else None,
        error=ended.error if isinstance(ended, (RunFailed, RunContinued)) else None,
        reason=ended.reason if isinstance(ended, RunCancelled) else None,
        blocked_reason=blocked if status == "blocked" else None,
        paused=Pause.of(state.paused) if state.paused and status == "paused" else None,
        attributes=state.attributes,
        status_text=state.status_text,
        parent=started.parent,
        fork_of=Fork.of(state.forked) if state.forked else None,
        next_run_id=ended.next_run_id if isinstance(ended, RunContinued) else None,
        traceparent=started.traceparent,
        headers=started.headers,
        start_at=started.start_at,
        gathered=started.gathered,
        attempt=started.attempt,
        max_attempts=started.max_attempts,
        usage=state.usage.entries() or None,
    )


def time_text(moment: datetime) -> str:
    """A time as text that sorts as the times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
