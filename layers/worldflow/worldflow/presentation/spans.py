"""The timeline of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.table import Table
from rich.text import Text

from worldflow.engine.history import (
    ChildCancelRequested,
    ChildCompleted,
    ChildFailed,
    ChildStarted,
    Event,
    HookConflicted,
    HookCreated,
    HookDisposed,
    HookResumed,
    Replied,
    RunEnded,
    SignalReceived,
    StepAbandoned,
    StepCompleted,
    StepFailed,
    StepRetryScheduled,
    StepScheduled,
    TimerCancelled,
    TimerFired,
    TimerStarted,
    UpdateReceived,
)
from worldflow.presentation.words import duration, type_name

BAR_WIDTH = 32
LIMIT = 50
"""Lines of a timeline."""


@dataclass(slots=True)
class _Span:
    """A step, a timer, a child, a hook, a signal or an update on the timeline. One without an end is open."""

    label: str
    begin: datetime
    end: datetime | None = None
    note: str = ""
    style: str = "cyan"

    def close(self, end: datetime, note: str, style: str) -> None:
        self.end, self.note, self.style = end, note, style


def timeline(events: Sequence[Event]) -> Table:
    """What was open in a history, when each began, how long it took, and both as bars."""
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
    for span in spans[:LIMIT]:
        took = "open" if span.end is None else duration(span.end - span.begin) if span.end > span.begin else ""
        table.add_row(
            Text(span.label), f"+{duration(span.begin - first)}", took, bar(span), Text(span.note, style=span.style)
        )
    if len(spans) > LIMIT:
        table.add_row(f"and {len(spans) - LIMIT} more")
    return table


def _spans(events: Iterable[Event]) -> dict[str, _Span]:
    """The spans of a history by their ids, in order."""
    spans: dict[str, _Span] = {}
    hooks: dict[str, _Span] = {}
    for event in events:
        match event:
            case StepScheduled():
                spans[event.step_id] = _Span(f"step {event.name} ({event.step_id})", event.at)
            case StepCompleted():
                note = f"attempt {event.attempt}" if event.attempt > 1 else ""
                spans[event.step_id].close(event.at, note, "green")
            case StepFailed():
                spans[event.step_id].close(event.at, type_name(event.error), "red")
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
            case ChildStarted():
                spans[event.child_id] = _Span(f"child {event.workflow_name} ({event.child_id})", event.at)
            case ChildCompleted():
                spans[event.child_id].close(event.at, "", "green")
            case ChildFailed():
                spans[event.child_id].close(event.at, type_name(event.error), "red")
            case ChildCancelRequested():
                spans[event.child_id].note = "asked to end"
            case HookCreated():
                hook = _Span(f"{'webhook' if event.webhook else 'hook'} {event.hook_id}", event.at)
                spans[event.hook_id] = hooks[event.hook_id] = hook
            case HookConflicted() if event.hook_id in hooks:
                hooks.pop(event.hook_id).close(event.at, "refused", "red")
            case HookDisposed() if event.hook_id in hooks:
                hooks.pop(event.hook_id).close(event.at, "", "blue")
            case HookResumed():
                spans[event.fact_id] = _Span(f"hook {event.hook_id} resumed", event.at, event.at, style="magenta")
            case SignalReceived():
                spans[event.fact_id] = _Span(f"signal {event.name}", event.at, event.at, style="magenta")
            case UpdateReceived():
                spans[event.fact_id] = _Span(f"update {event.name}", event.at)
            case Replied() if event.fact_id in spans:
                note = type_name(event.error) if event.error else ""
                spans[event.fact_id].close(event.at, note, "red" if event.error else "magenta")
        if isinstance(event, RunEnded):
            for hook in hooks.values():  # which end with their run
                hook.close(event.at, "", "blue")
    return spans
