"""A run in a paragraph: what it is doing or why it failed, and what to do about it.

Says nothing that is not in the record and the history, but for what the caller knows besides: what the workflow's code
waits for, and whether a worker serves the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from worldflow.engine.history import CancelRequested, Event, Failure, RunStarted, StepFailed
from worldflow.engine.history.spans import Span, spans_of
from worldflow.mcp.answers import Wait
from worldflow.mcp.showing import Showing, causes
from worldflow.presentation.doing import doing, paused
from worldflow.presentation.words import as_json, duration, printable, type_name
from worldflow.runtime.queries import Waiting
from worldflow.worlds.records import RunRecord

SAID = 500
"""Characters of an error or a value in the paragraph."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is known besides the record and the history."""

    now: datetime
    followed_by: str | None = None
    waiting: Waiting | None = None
    """None where its code is not in this process, or cannot be replayed."""
    not_served: str | None = None
    """The LocalWorld file that no worker serves."""
    shown: Showing


@dataclass(frozen=True, slots=True)
class Explanation:
    text: str
    advice: Sequence[str]


def waits(events: Iterable[Event], now: datetime, shown: Showing) -> list[Wait]:
    """What is open in a history."""
    return [_wait(span, now, shown) for span in spans_of(events) if span.end is None]


def _wait(span: Span, now: datetime, shown: Showing) -> Wait:
    wait = Wait(kind=span.kind, name=span.name, id=span.id, since=span.begin, due=span.due)
    wait.child_run_id = span.child_run_id
    if span.attempts:
        last = span.attempts[-1]
        wait.attempt, wait.since = last.number, last.begin
        if last.begin > now:
            wait.due = last.begin
        if len(span.attempts) > 1 and (error := span.attempts[-2].error):
            wait.last_error = _error(error, shown)
    return wait


def explain(record: RunRecord, events: Sequence[Event], open_waits: Sequence[Wait], known: Known) -> Explanation:
    """A run in a paragraph, and what to do about it."""
    sentences, advice = _TOLD[record.status](record, events, open_waits, known)
    if record.status_text and (text := known.shown.text(record.status_text, SAID)):
        sentences.append(f'Its status line says: "{printable(text)}".')
    if known.followed_by:
        sentences.append(f"Run {known.followed_by} has followed it under the same id.")
        advice = [f"Look at {known.followed_by}, the newest run with this id."]
    return Explanation(" ".join(sentences), advice)


Told = tuple[list[str], list[str]]


def _pending(record: RunRecord, _: Sequence[Event], __: Sequence[Wait], known: Known) -> Told:
    age = duration(known.now - record.created_at)
    sentences = [f"{_name(record)} was created {age} ago and has not started: no process has taken its first turn."]
    return sentences, _unserved(known) or [
        "If it stays so, look at the log of the orchestrator function, at the age of the oldest message in the run "
        "queue, and at the dead letters (`python -m worldflow redrive` puts them back)."
    ]


def _running(record: RunRecord, events: Sequence[Event], open_waits: Sequence[Wait], known: Known) -> Told:
    sentences = [f"{_name(record)} has been running for {duration(known.now - _begun(record, events))}."]
    if known.waiting:
        sentences.append(f"Its code is{known.waiting.where.replace(' (at', ' at').rstrip(')')}.")
    calls = known.waiting.calls if known.waiting else ()
    sentences.append(doing(record, spans_of(events), known.now, calls))
    if any(isinstance(event, CancelRequested) for event in events):
        sentences.append("Its cancellation was requested, and it has not ended yet.")
    advice = _unserved(known)
    if known.waiting and known.waiting.signals:
        advice.append(f"To let it continue, send the signal {known.waiting.signals[0]!r} (send_signal).")
    if any(wait.kind == "hook" for wait in open_waits):
        advice.append(
            "A hook continues when a value is sent to its token (resume_hook), which its event HookCreated has."
        )
    if any(wait.last_error for wait in open_waits):
        advice.append(
            "A step is being retried. If its error will not go away by itself, fix the cause; the next attempt runs "
            "the code that is deployed then."
        )
    return sentences, advice or ["Nothing: it continues by itself when what it waits for happens."]


def _paused(record: RunRecord, _: Sequence[Event], __: Sequence[Wait], known: Known) -> Told:
    sentences = [f"{_name(record)} is paused."]
    if record.paused:
        sentences = [f"{_name(record)} is paused {paused(record.paused)}."]
    return sentences, ["Unpause it when the reason is gone (`python -m worldflow unpause`). What came for it is kept."]


def _blocked(record: RunRecord, _: Sequence[Event], __: Sequence[Wait], known: Known) -> Told:
    reason = known.shown.text(record.blocked_reason, 2 * SAID) or "unknown"
    sentences = [f"{_name(record)} is blocked: its code cannot continue its history. The reason: {printable(reason)}"]
    return sentences, [
        "Make the code match the history again: deploy the code that the run started with, guard the change with "
        "patched(), or make it a new version of the workflow. Nothing is lost meanwhile.",
        "Then wait, since blocked runs check by themselves, or request a turn now (resume_run).",
    ]


def _failed(record: RunRecord, events: Sequence[Event], _: Sequence[Wait], known: Known) -> Told:
    assert record.error is not None
    took = _took(record, events)
    sentences = [f"{_name(record)} failed{took} with {_error(record.error, known.shown)}."]
    step = _failed_step(record.error, events)
    if step:
        span, last = step
        sentences.append(f"The error comes from step {span.name!r} ({span.id}), which failed in attempt {last}.")
    else:
        sentences.append("The error comes from the workflow's own code, not from a step.")
    again = "the step that failed gets all its attempts again" if step else "its code is called again where it failed"
    advice = [
        f"Fix the cause and deploy, then retry the run (retry_run): it continues from the failure, and {again}. "
        f"Steps that completed do not run again.",
        f"To continue from an earlier point, fork it (fork_run with `after`, at most {record.seq - 1}).",
    ]
    return sentences, advice


def _cancelled(record: RunRecord, events: Sequence[Event], _: Sequence[Wait], known: Known) -> Told:
    reason = known.shown.text(record.reason, SAID)
    because = f" The reason that was given: {printable(reason)}" if reason else ""
    sentences = [f"{_name(record)} was cancelled{_took(record, events)}.{because}"]
    return sentences, ["If it should run after all, start a new run (start_run), or fork this one (fork_run)."]


def _completed(record: RunRecord, events: Sequence[Event], _: Sequence[Wait], known: Known) -> Told:
    result = known.shown.text(as_json(record.result), SAID) if record.result is not None else "nothing"
    return [f"{_name(record)} completed{_took(record, events)} and returned {printable(result or '')}."], ["Nothing."]


def _continued(record: RunRecord, events: Sequence[Event], _: Sequence[Wait], __: Known) -> Told:
    sentences = [f"{_name(record)} continued as new{_took(record, events)}, as {record.next_run_id}."]
    return sentences, [f"Look at {record.next_run_id}."]


_TOLD = {
    "pending": _pending,
    "running": _running,
    "blocked": _blocked,
    "paused": _paused,
    "failed": _failed,
    "cancelled": _cancelled,
    "completed": _completed,
    "continued": _continued,
}


def _name(record: RunRecord) -> str:
    return f"Run {record.run_id} of workflow {record.workflow_name!r}"


def _begun(record: RunRecord, events: Sequence[Event]) -> datetime:
    return next((event.created_at for event in events if isinstance(event, RunStarted)), record.created_at)


def _took(record: RunRecord, events: Sequence[Event]) -> str:
    return f" after {duration(record.ended_at - _begun(record, events))}" if record.ended_at else ""


def _error(failure: Failure, shown: Showing) -> str:
    text = shown.text(failure.message, SAID)
    return f"{type_name(failure)}: {printable(text)}" if text else type_name(failure)


def _failed_step(error: Failure, events: Sequence[Event]) -> tuple[Span, int] | None:
    """The step whose error the run's goes back to, and its last attempt."""
    known = {(failure.type, failure.message) for failure in causes(error)}
    for event in reversed(events):
        if isinstance(event, StepFailed) and (event.error.type, event.error.message) in known:
            span = next(span for span in spans_of(events) if span.kind == "step" and span.id == event.step_id)
            return span, event.attempt
    return None


def _unserved(known: Known) -> list[str]:
    if known.not_served is None:
        return []
    return [f"No worker serves {known.not_served}: start one with `python -m worldflow worker --local FILE`."]
