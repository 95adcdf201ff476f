"""Runs and their events as people read them: lines of text, tables and a timeline.

Nothing that runs in Lambda imports this.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.table import Table
from rich.text import Text

from worldflow.engine.history import (
    Applied,
    AttributesSet,
    CancelRequested,
    ChildCancelRequested,
    ChildCompleted,
    ChildFailed,
    ChildStarted,
    Event,
    Fact,
    Failure,
    HookConflicted,
    HookCreated,
    HookDisposed,
    HookResumed,
    Json,
    Replied,
    RunCancelled,
    RunCompleted,
    RunContinued,
    RunFailed,
    RunStarted,
    SignalReceived,
    StepAbandoned,
    StepCompleted,
    StepFailed,
    StepRetryScheduled,
    StepScheduled,
    TerminateRequested,
    TimerCancelled,
    TimerFired,
    TimerStarted,
    UpdateReceived,
    VersionMarked,
)
from worldflow.worlds.base import RunRecord

VALUE_LIMIT = 120
"""Characters of a value in a line."""

BAR_WIDTH = 32
TIMELINE_LIMIT = 50
"""Lines of a timeline."""

_STATUS_STYLES = {
    "pending": "dim",
    "running": "cyan",
    "completed": "green",
    "continued": "green",
    "failed": "red",
    "blocked": "red",
    "cancelled": "yellow",
}
_EVENT_STYLES: Mapping[type[object], str] = {
    StepCompleted: "green",
    StepFailed: "red",
    SignalReceived: "magenta",
    CancelRequested: "yellow",
    RunStarted: "bold",
    RunCompleted: "bold green",
    RunFailed: "bold red",
    RunCancelled: "bold yellow",
    RunContinued: "bold",
}


# --- events --------------------------------------------------------------------------------------------------------


class EventLines:
    """The lines of one run's history, event after event: it remembers what ids stand for, and when the run began."""

    def __init__(self) -> None:
        self._steps: dict[str, str] = {}
        self._began: datetime | None = None

    def line(self, event: Event) -> Text:
        """The line of the next event: its number, the time since the run began, and what happened."""
        self._began = self._began or event.at
        if isinstance(event, StepScheduled):
            self._steps[event.step_id] = event.name
        line = Text(f"{event.seq:>5}  {'+' + duration(event.at - self._began):>12}  ", style="dim", end="")
        return Text("").append(line).append(describe_event(event, self._steps))


def describe_event(event: Event, steps: Mapping[str, str] | None = None) -> Text:
    """One event in words. `steps` has the names of steps by their ids, which most events of a step leave out."""
    what, detail = _words(event, steps or {})
    text = Text(what, style=_EVENT_STYLES.get(type(event), ""))
    if detail:
        text = Text("").append(text).append(f"  {detail}", style="dim")
    if isinstance(event, Fact) and event.held:
        text = Text("").append(text).append("  held: the workflow's code cannot run", style="yellow")
    return text


def _words(event: Event, steps: Mapping[str, str]) -> tuple[str, str]:
    """What happened, and with which data."""

    def step(step_id: str) -> str:
        name = steps.get(step_id)
        return f"step {name} ({step_id})" if name else f"step {step_id}"

    match event:
        case RunStarted():
            return f"run of {event.workflow_name} started", _value(event.input)
        case StepScheduled():
            return f"step {event.name} ({event.step_id}) scheduled", _value(event.input)
        case StepCompleted():
            return f"{step(event.step_id)} completed", _value(event.result)
        case StepFailed():
            return f"{step(event.step_id)} failed, attempt {event.attempt}", _failure(event.error)
        case StepRetryScheduled():
            return (
                f"{step(event.step_id)} is tried again in {duration(event.due - event.at)}",
                f"attempt {event.attempt}",
            )
        case StepAbandoned():
            return f"{step(event.step_id)} abandoned", "nobody waits for it any more"
        case TimerStarted():
            return f"timer {event.timer_id} started", f"due in {duration(event.due - event.at)}"
        case TimerFired():
            return f"timer {event.timer_id} fired", ""
        case TimerCancelled():
            return f"timer {event.timer_id} cancelled", ""
        case SignalReceived():
            return f"signal {event.name} received", _value(event.value)
        case HookCreated():
            return f"{'webhook' if event.webhook else 'hook'} {event.hook_id} created", _printable(event.token)
        case HookResumed():
            return f"hook {event.hook_id} resumed", _value(event.value)
        case HookConflicted():
            return f"hook {event.hook_id} refused", "another live run holds its token"
        case HookDisposed():
            return f"hook {event.hook_id} disposed of", ""
        case UpdateReceived():
            return f"update {event.name} received", _value(event.args)
        case Replied():
            return f"answered {event.fact_id}", _failure(event.error) if event.error else _value(event.result)
        case ChildStarted():
            return f"child {event.workflow_name} ({event.child_run_id}) started", _value(event.input)
        case ChildCompleted():
            return f"child {event.child_id} completed", _value(event.result)
        case ChildFailed():
            return f"child {event.child_id} failed", _failure(event.error)
        case ChildCancelRequested():
            return f"child {event.child_id} asked to end", "nobody waits for it any more"
        case AttributesSet():
            text = "" if event.status_text is None else f"status: {event.status_text}"
            return "attributes set", _printable(" ".join(filter(None, [text, _value(event.attributes or None)])))
        case VersionMarked():
            return f"went the new way of change {event.change_id}", ""
        case TerminateRequested():
            return "termination requested", _printable(event.reason or "")
        case RunContinued():
            return f"run continued as {event.next_run_id}", _value(event.input)
        case CancelRequested():
            return "cancellation requested", _printable(event.reason or "")
        case Applied():
            return f"the workflow learns of {event.fact_id}", ""
        case RunCompleted():
            return "run completed", _value(event.result)
        case RunFailed():
            return "run failed", _failure(event.error)
        case RunCancelled():
            return "run cancelled", _printable(event.reason or "")


# --- the timeline --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Span:
    """A step, a timer or a signal on the timeline. One without an end is open."""

    label: str
    begin: datetime
    end: datetime | None = None
    note: str = ""
    style: str = "cyan"

    def close(self, end: datetime, note: str, style: str) -> None:
        self.end, self.note, self.style = end, note, style


def timeline(events: Sequence[Event]) -> Table:
    """The steps, timers and signals of a history, when each began, how long it took, and both as bars."""
    spans = list(_spans(events).values())
    first, last = events[0].at, events[-1].at
    total = (last - first).total_seconds() or 1e-9

    def bar(span: _Span) -> Text:
        begin = min(int((span.begin - first).total_seconds() / total * BAR_WIDTH), BAR_WIDTH - 1)
        length = ((span.end or last) - span.begin).total_seconds() / total * BAR_WIDTH
        return Text(" " * begin + "━" * max(1, min(round(length), BAR_WIDTH - begin)), style=span.style)

    table = Table(box=None, pad_edge=False)
    table.add_column("timeline", overflow="fold")
    table.add_column("began", justify="right", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("", width=BAR_WIDTH, no_wrap=True)
    table.add_column("")
    for span in spans[:TIMELINE_LIMIT]:
        took = "open" if span.end is None else duration(span.end - span.begin) if span.end > span.begin else ""
        table.add_row(
            Text(span.label), f"+{duration(span.begin - first)}", took, bar(span), Text(span.note, style=span.style)
        )
    if len(spans) > TIMELINE_LIMIT:
        table.add_row(f"and {len(spans) - TIMELINE_LIMIT} more")
    return table


def _spans(events: Iterable[Event]) -> dict[str, _Span]:
    """The spans of a history by their ids, in order."""
    spans: dict[str, _Span] = {}
    for event in events:
        match event:
            case StepScheduled():
                spans[event.step_id] = _Span(f"step {event.name} ({event.step_id})", event.at)
            case StepCompleted():
                note = f"attempt {event.attempt}" if event.attempt > 1 else ""
                spans[event.step_id].close(event.at, note, "green")
            case StepFailed():
                spans[event.step_id].close(event.at, _type_name(event.error), "red")
            case StepRetryScheduled():
                span = spans[event.step_id]
                span.end, span.note, span.style = None, f"attempt {event.attempt}", "cyan"
            case StepAbandoned():
                spans[event.step_id].close(event.at, "abandoned", "yellow")
            case TimerStarted():
                length = duration(event.due - event.at)
                spans[event.timer_id] = _Span(f"timer {event.timer_id} of {length}", event.at)
            case TimerFired():
                spans[event.timer_id].close(event.at, "", "blue")
            case TimerCancelled():
                spans[event.timer_id].close(event.at, "cancelled", "dim")
            case SignalReceived():
                spans[event.fact_id] = _Span(f"signal {event.name}", event.at, event.at, style="magenta")
    return spans


# --- runs ----------------------------------------------------------------------------------------------------------


def run_details(record: RunRecord) -> Table:
    """All that the record of a run says."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("run", record.run_id)
    table.add_row("workflow", record.workflow_name)
    table.add_row("status", _status(record.status))
    table.add_row("started", _moment(record.created_at))
    if record.ended_at:
        table.add_row("ended", f"{_moment(record.ended_at)}, after {duration(record.ended_at - record.created_at)}")
    table.add_row("input", Text(_printable(_json(record.input))))
    if record.status == "completed":
        table.add_row("result", Text(_printable(_json(record.result))))
    if record.error:
        table.add_row("error", Text(_failure(record.error, limit=2_000), style="red"))
    if record.blocked_reason:
        table.add_row("blocked by", Text(_printable(record.blocked_reason), style="red"))
    return table


def run_table(records: Iterable[RunRecord]) -> Table:
    """Many runs, a line each."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("run", overflow="fold")
    table.add_column("workflow", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("started", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    for record in records:
        took = duration(record.ended_at - record.created_at) if record.ended_at else ""
        table.add_row(record.run_id, record.workflow_name, _status(record.status), _moment(record.created_at), took)
    return table


# --- words ---------------------------------------------------------------------------------------------------------


def duration(length: timedelta) -> str:
    """A length of time in its two largest units: `420 ms`, `3.1 s`, `2 min 5 s`, `3 d`."""
    milliseconds = round(length.total_seconds() * 1_000)
    if milliseconds < 1_000:
        return f"{max(milliseconds, 0)} ms"
    if milliseconds < 59_950:
        return f"{milliseconds / 1_000:.1f}".removesuffix(".0") + " s"
    rest, parts = round(milliseconds / 1_000), []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _status(status: str) -> Text:
    return Text(status, style=_STATUS_STYLES.get(status, ""))


def _value(value: Json) -> str:
    return "" if value is None else _short(_json(value))


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _failure(failure: Failure, limit: int = VALUE_LIMIT) -> str:
    return _short(f"{_type_name(failure)}: {failure.message}" if failure.message else _type_name(failure), limit)


def _type_name(failure: Failure) -> str:
    return failure.type.rpartition(":")[2]


def _short(text: str, limit: int = VALUE_LIMIT) -> str:
    text = _printable(text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _printable(text: str) -> str:
    """Text on one line, which cannot move the cursor or change the colours of a terminal."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
