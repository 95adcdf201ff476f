"""What a run is doing, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from worldflow.engine.history.spans import Span
from worldflow.presentation.words import describe_failure, duration, printable, type_name
from worldflow.worlds.records import Pause, RunRecord
from worldflow.worlds.workflow_pauses import WorkflowPause

_NAMED = 3


def doing(
    record: RunRecord,
    spans: Sequence[Span],
    now: datetime,
    waits_for: Sequence[str] = (),
    at_limits: Mapping[str, str] | None = None,
    at_limit: str | None = None,
) -> str:
    """What a run is doing, waits for or came to.

    spans: of its history.
    waits_for: the calls that its tasks wait for, where its code is here; a history does not say that a workflow waits
        for a signal.
    at_limits: what is to be said of steps that wait for a place at a limit, by their ids.
    at_limit: what is to be said of the run, if it waits for one itself.
    """
    if record.ended and record.ended_at:
        return _ended(record, duration(record.ended_at - record.created_at))
    if record.status == "blocked":
        return f"Blocked: {printable(record.blocked_reason or '')}. Deploy a fix, then resume the run."
    if record.paused:
        which = "its workflow" if record.paused.of_workflow else "it"
        return f"Paused {paused(record.paused)}. It continues when {which} is unpaused."
    if record.status == "pending":
        if record.start_at and record.start_at > now:
            left = duration(record.start_at - now)
            return f"Gathers starts, begins in {left}." if record.gathers else f"Starts in {left}."
        if at_limit:
            return f"{at_limit[0].upper()}{at_limit[1:]} for {duration(now - record.created_at)}."
        return f"Waiting for its first turn for {duration(now - record.created_at)}."
    open_spans = [span for span in spans if span.end is None]
    parts = [*_working(open_spans, now, at_limits or {}), *_waiting(open_spans, waits_for, now)]
    if not parts:
        return "Waiting for a signal or an update, or taking a turn." if spans else "Running its code."
    more = f"; {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    sentence = "; ".join(parts[:_NAMED]) + more
    return f"{sentence[0].upper()}{sentence[1:]}."


def paused(pause: Pause | WorkflowPause) -> str:
    """Since when a run or a workflow is paused, by whom and why."""
    together = ", with its workflow," if isinstance(pause, Pause) and pause.of_workflow else ""
    by = f" by {pause.by}" if pause.by else ""
    because = f": {pause.reason}" if pause.reason else ""
    return printable(f"since {pause.at:%Y-%m-%d %H:%M:%S} UTC{together}{by}{because}")


def _ended(record: RunRecord, took: str) -> str:
    match record.status:
        case "completed":
            return f"Completed after {took}."
        case "failed":
            because = f": {describe_failure(record.error, limit=300)}" if record.error else ""
            return f"Failed after {took}{because}"
        case "continued":
            if record.error:
                return f"Failed with {type_name(record.error)} after {took}; the next attempt is {record.next_run_id}."
            return f"Continued as {record.next_run_id} after {took}."
        case _:
            because = f": {printable(record.reason)}" if record.reason else ""
            return f"Cancelled after {took}{because}"


def _working(spans: Sequence[Span], now: datetime, at_limits: Mapping[str, str]) -> list[str]:
    """What somebody works on."""
    steps = [span for span in spans if span.kind == "step"]
    parts = [f"{span.name} is {at_limits[span.id]}" for span in steps if span.id in at_limits]
    parts += [_step(span, now) for span in steps if span.id not in at_limits]
    parts += [
        f"waiting for child {span.name} ({span.child_run_id}) for {duration(now - span.begin)}"
        for span in spans
        if span.kind == "child"
    ]
    return parts + [f"answering update {span.name}" for span in spans if span.kind == "update"]


def _waiting(spans: Sequence[Span], waits_for: Sequence[str], now: datetime) -> list[str]:
    """What it waits for, with the time that is left where one timer limits the wait."""
    parts = [f"waiting for {_named(call)}" for call in waits_for if call.startswith("wait_for_signal")]
    parts += [f"waiting for {span.kind} {span.id}" for span in spans if span.kind in ("hook", "webhook")]
    timers = sorted(span.due for span in spans if span.kind == "timer" and span.due)
    if not timers:
        return parts
    left = f"in {duration(timers[0] - now)}" if timers[0] > now else "now"
    if len(parts) == 1 and "sleep()" not in waits_for:
        return [f"{parts[0]}, times out {left}"]
    sleeps = "sleeping, wakes" if "sleep()" in waits_for else "its next timer is due"
    return [*parts, f"{sleeps} {left}"]


def _named(call: str) -> str:
    """`signal 'approval'` of `wait_for_signal('approval')`."""
    return f"signal {call.removeprefix('wait_for_signal(').removesuffix(')')}"


def _step(span: Span, now: datetime) -> str:
    last = span.attempts[-1]
    failed = next((attempt.error for attempt in reversed(span.attempts[:-1]) if attempt.error), None)
    because = f", the last failed with {type_name(failed)}" if failed else ""
    if last.begin > now:
        return f"attempt {last.number} of {span.name} in {duration(last.begin - now)}{because}"
    number = f"attempt {last.number} of " if last.number > 1 else ""
    return f"running {number}{span.name} for {duration(now - last.begin)}{because}"
