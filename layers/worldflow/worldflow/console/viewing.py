"""What the pages of one run show, read from the World in one go."""

from __future__ import annotations

import linecache
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from worldflow.console.following import written
from worldflow.engine.errors import PayloadCodecError, WorkflowNotFoundError, WorldflowError
from worldflow.engine.history import (
    Applied,
    ChildStarted,
    Decision,
    Event,
    Fact,
    Failure,
    HookCreated,
    Json,
    StepScheduled,
    UpdateReceived,
)
from worldflow.engine.history.editing import editable
from worldflow.engine.history.forking import last_to_fork
from worldflow.engine.history.spans import Span, spans_of
from worldflow.engine.history.state import RunState
from worldflow.engine.ids import generation, generation_id
from worldflow.engine.values.signatures import Signature
from worldflow.engine.workflow.execution import Execution
from worldflow.engine.workflow.queries import asks
from worldflow.engine.workflow.standing import Frame, TaskStanding, standing
from worldflow.presentation.doing import doing
from worldflow.presentation.events import describe_event
from worldflow.presentation.words import duration
from worldflow.runtime import queries
from worldflow.runtime.limits import waiting_run, waiting_steps
from worldflow.turns.watchdog import watched
from worldflow.worlds import items, reading
from worldflow.worlds.base import World
from worldflow.worlds.histories import History, borrower
from worldflow.worlds.payloads import size_of_reference
from worldflow.worlds.records import RunRecord

NOT_SHOWN = "not shown"
LARGE = 256 * 1024
"""Bytes of a stored value that is read only when somebody asks for it."""
LEFT_OUT = "Too large for this page."
REPLAYED = 5_000
"""Events of a history that is replayed to say in one sentence what a run is doing."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the code stands after an event, or why that is not known."""

    tasks: Sequence[TaskStanding] = ()
    published: Mapping[str, Json] = field(default_factory=dict)
    """What the workflow publishes, as a query would have it now."""
    updates: Mapping[str, Signature] = field(default_factory=dict)
    """The updates that it handles."""
    queries: Mapping[str, Signature] = field(default_factory=dict)
    """The functions that it publishes and that take arguments."""
    problem: str | None = None
    because: str = ""
    """What the problem says about the run's data and code."""


@dataclass(frozen=True, slots=True)
class RunView:
    """One run, as its page shows it."""

    record: RunRecord
    events: Sequence[Event]
    """As they are stored: large values are references."""
    spans: Sequence[Span]
    state: RunState
    standing: Standing
    sentence: str
    generations: Sequence[str]
    streams: Sequence[tuple[str, datetime, datetime]]
    """When each was written, from its first row to its last."""
    now: datetime

    @property
    def end(self) -> datetime:
        return self.record.ended_at or self.now


def view(world: World, run_id: str) -> RunView:
    """Raises `RunNotFoundError`."""
    record = read_record(world, run_id)
    events = reading.stored_events(world, run_id)
    spans, now = spans_of(events), world.now()
    stands = Standing() if record.ended or len(events) > REPLAYED else stand(world, record, events)
    waits = [task.waits_for for task in stands.tasks if task.waits_for]
    state = RunState(events)
    return RunView(
        record,
        events,
        spans,
        state,
        stands,
        doing(record, spans, now, waits, waiting_steps(world, run_id, state), waiting_run(world, record)),
        _generations(world, run_id),
        written(world, run_id),
        now,
    )


def read_record(world: World, run_id: str) -> RunRecord:
    """The record of a run, with the values that are not large and can be read, and a word in place of the others."""
    stored = reading.stored_run(world, run_id)
    left_out = {name: LEFT_OUT for name in ("input", "result") if size_of_reference(getattr(stored, name)) > LARGE}
    shown = stored.model_copy(update=left_out)
    try:
        return reading.with_data(world, shown)
    except PayloadCodecError as error:
        said = _unreadable(error)
        texts = {name: said for name in ("input", "result", "blocked_reason") if getattr(shown, name)}
        failure = shown.error and Failure(type=shown.error.type, bases=shown.error.bases, message=said)
        return shown.model_copy(update={**texts, "error": failure})


def _unreadable(error: PayloadCodecError) -> str:
    return f"Cannot be read here: {error}"


def last_before_the_end(world: World, run_id: str) -> int:
    """The last event that a fork can take over."""
    return last_to_fork(reading.stored_events(world, run_id))


def _generations(world: World, run_id: str) -> list[str]:
    base, number = generation(run_id)
    newest = max(items.get_generation(world, base), number)
    return [generation_id(base, each) for each in range(1, newest + 1)]


def stand(world: World, record: RunRecord, events: Sequence[Event], upto: int | None = None) -> Standing:
    """Where the code of a run stands after event `upto`, by a replay in this process. Nothing is written or run."""
    if not events:
        return Standing(problem="The run has not begun.")
    try:
        with queries.replayed(world, record, _up_to(events, upto)) as execution:
            asking = {name: Signature(one, name) for name, one in execution.published.items() if asks(one)}
            published = {name: _published(execution, name) for name in sorted(execution.published.keys() - asking)}
            return Standing(standing(execution), published, dict(execution.inbox.handlers), asking)
    except WorkflowNotFoundError as error:
        return Standing(problem=f"{error.summary}. Name its module with --workflows.")
    except WorldflowError as error:
        return Standing(problem=f"The code cannot be replayed: {type(error).__name__}", because=str(error))


def _published(execution: Execution, name: str) -> Json:
    try:
        return watched(execution, lambda: execution.query(name))
    except Exception as error:  # whatever the user's code raises
        return f"{type(error).__name__}: {error}"


def _up_to(events: Sequence[Event], last: int | None) -> Sequence[Event]:
    """The events up to one, with the decisions that the workflow took at the same moment."""
    if last is None:
        return events
    end = sum(event.seq <= last for event in events)
    while end < len(events) and isinstance(events[end], Decision) and not isinstance(events[end], Applied):
        end += 1
    return events[:end]


def without_token(event: Event) -> Event:
    """An event as those see it who may only look: whoever has the token of a hook may send to it."""
    if isinstance(event, HookCreated) and event.token:
        return event.model_copy(update={"token": NOT_SHOWN})
    return event


def words(event: Event, names: dict[str, str]) -> str:
    """An event in a line of words. Notes the name of what it begins."""
    note(event, names)
    return describe_event(event, names).plain


def note(event: Event, names: dict[str, str]) -> None:
    """Notes the name of what an event begins, by its id."""
    match event:
        case StepScheduled(step_id=id, name=name) | UpdateReceived(fact_id=id, name=name):
            names[id] = name
        case ChildStarted(child_id=id, workflow_name=name):
            names[id] = name


@dataclass(frozen=True, slots=True)
class EventRow:
    seq: int
    at: datetime
    since: str
    """The time since the run began."""
    kind: str
    words: str
    payload: Json
    is_large: bool
    edits: str
    """What a fork can have another value of, if anything."""

    @property
    def data(self) -> Json:
        """The value that a fork can have another one of."""
        payload = self.payload if isinstance(self.payload, dict) else {}
        return next((payload[name] for name in ("result", "value", "input", "args") if name in payload), None)


@dataclass(frozen=True, slots=True)
class EventPage:
    rows: Sequence[EventRow]
    total: int
    after: int | None
    """Where the next page begins."""


def page_of_events(
    world: World,
    events: Sequence[Event],
    after: int,
    search: str,
    *,
    payloads: bool,
    tokens: bool = True,
    limit: int = 200,
) -> EventPage:
    """A page of a history: the events after one that hold each word of a search.

    tokens: whether those of hooks are shown.
    """
    names: dict[str, str] = {}
    rows: list[EventRow] = []
    wanted, edits = search.casefold().split(), editable(events)
    history = History(world, lambda: events)
    for stored in events if tokens else map(without_token, events):
        size = sum(size_of_reference(getattr(stored, name)) for name in stored.data_fields)
        event = stored
        if borrower(stored) and size <= LARGE:
            event, _ = _read(history, stored)
        note(event, names)
        if event.seq <= after or (wanted and not _is_found(wanted, event, names, payloads)):
            continue
        if len(rows) == limit:
            return EventPage(rows, len(events), rows[-1].seq)
        payload, problem = None, ""
        if payloads and size <= LARGE:
            whole, problem = _read(history, stored)
            payload = problem or whole.payload
        since = duration(event.at - events[0].at)
        rows.append(
            EventRow(
                event.seq,
                event.at,
                since,
                event.event_type,
                describe_event(event, names).plain if payloads else "",
                payload,
                is_large=size > LARGE,
                edits=edits.get(event.seq, "") if payloads and not problem else "",
            )
        )
    return EventPage(rows, len(events), None)


def _read(history: History, stored: Event) -> tuple[Event, str]:
    """An event with its data; as it is stored, and why, where this process cannot read that."""
    try:
        return history.read(stored), ""
    except PayloadCodecError as error:
        return stored, _unreadable(error)


def _is_found(wanted: Sequence[str], event: Event, names: Mapping[str, str], payloads: bool) -> bool:
    """Whether each word is in what an event holds: its kind, its data, the name of its step or child."""
    data = event.__dict__
    name = names.get(data.get("step_id") or data.get("child_id") or "", "")
    text = f"{event.event_type} {name} {data if payloads else ''}".casefold()
    return all(word in text for word in wanted)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines of a file around one."""

    file: str
    line: int
    function: str
    lines: Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Code:
    """Where the code stood after an event."""

    at: int
    event: str
    before: int | None
    after: int | None
    standing: Standing
    excerpts: Mapping[str, Sequence[Excerpt]]
    """By task."""


AROUND = 4
"""Lines of a file that are shown before a line and after it."""


def code_at(world: World, seen: RunView, at: int, *, tokens: bool = True) -> Code:
    """Where the code of a run stood after event `at`. tokens: whether those of hooks are shown."""
    facts = [event.seq for event in seen.events if isinstance(event, (Fact, Applied))]
    at = max((seq for seq in facts if seq <= at), default=facts[0] if facts else 0)
    stands = stand(world, seen.record, seen.events, at)
    excerpts = {task.name: [_excerpt(frame) for frame in task.frames if frame.is_users] for task in stands.tasks}
    names: dict[str, str] = {}
    shown = seen.events if tokens else map(without_token, seen.events)
    said = [words(event, names) for event in shown if event.seq <= at]
    before = max((seq for seq in facts if seq < at), default=None)
    after = min((seq for seq in facts if seq > at), default=None)
    return Code(at, said[-1] if said else "", before, after, stands, excerpts)


def _excerpt(frame: Frame) -> Excerpt:
    numbers = range(max(1, frame.line - AROUND), frame.line + AROUND + 1)
    lines = [(number, linecache.getline(frame.file, number).rstrip("\n")) for number in numbers]
    return Excerpt(
        _place(frame.file), frame.line, frame.function, [(n, text) for n, text in lines if text or n <= frame.line]
    )


def _place(file: str) -> str:
    """The path of a file, from the folder that the console runs in if it is there."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
