"""Events in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never

from rich.text import Text

from worldflow.engine import history as h
from worldflow.engine.history import AnyDecision, AnyFact, Event, Fact
from worldflow.presentation.usage import describe_usage
from worldflow.presentation.words import (
    describe_attributes,
    describe_failure,
    describe_value,
    duration,
    printable,
    version_of,
)

_STYLES: Mapping[type[object], str] = {
    h.StepCompleted: "green",
    h.StepFailed: "red",
    h.ChildCompleted: "green",
    h.ChildFailed: "red",
    h.SignalReceived: "magenta",
    h.HookResumed: "magenta",
    h.UpdateReceived: "magenta",
    h.HookConflicted: "red",
    h.CancelRequested: "yellow",
    h.TerminateRequested: "yellow",
    h.RunPaused: "yellow",
    h.RunUnpaused: "yellow",
    h.RunStarted: "bold",
    h.RunCompleted: "bold green",
    h.RunContinued: "bold green",
    h.RunFailed: "bold red",
    h.RunCancelled: "bold yellow",
}


class EventLines:
    """The lines of one run's history, event after event: it remembers what ids stand for, and when the run began."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._began: datetime | None = None

    def line(self, event: Event) -> Text:
        """The line of the next event: its number, the time since the run began, and what happened."""
        self._began = self._began or event.at
        match event:
            case h.StepScheduled(step_id=id, name=name) | h.UpdateReceived(fact_id=id, name=name):
                self._names[id] = name
            case h.ChildStarted(child_id=id, workflow_name=name) | h.HookResumed(fact_id=id, hook_id=name):
                self._names[id] = name
        line = Text(f"{event.seq:>5}  {'+' + duration(event.at - self._began):>12}  ", style="dim", end="")
        return Text("").append(line).append(describe_event(event, self._names))


def is_internal(event: Event) -> bool:
    """Whether an event is only about how Worldflow itself works, and tells people nothing about their run."""
    return isinstance(event, h.VersionMarked) and event.change_id.startswith("worldflow:")


def describe_event(event: Event, names: Mapping[str, str] | None = None) -> Text:
    """One event in words. `names` has those of steps, children and updates by their ids: most events leave them out."""
    names = names or {}
    what, detail = _words_of_fact(event, names) if isinstance(event, Fact) else _words_of_decision(event, names)
    text = Text(what, style=_STYLES.get(type(event), ""))
    if detail:
        text = Text("").append(text).append(f"  {detail}", style="dim")
    if isinstance(event, Fact) and event.held:
        text = Text("").append(text).append("  held until the workflow's code can run", style="yellow")
    return text


def _words_of_fact(event: AnyFact, names: Mapping[str, str]) -> tuple[str, str]:
    """What happened, and with which data."""
    match event:
        case h.RunStarted():
            version = f" ({known})" if (known := version_of(event.version)) else ""
            return f"run of {event.workflow_name}{version} started", describe_value(event.input)
        case h.RunForked():
            edited = f"edited: {describe_value(event.edit)}" if event.edit else ""
            return f"history up to here taken from {event.run_id}", edited
        case h.RunRestored():
            return "run restored", "its later events were lost"
        case h.StepCompleted():
            return f"{_named('step', event.step_id, names)} completed", _with_usage(event, describe_value(event.result))
        case h.StepFailed():
            failed = f"{_named('step', event.step_id, names)} failed, attempt {event.attempt}"
            return failed, _with_usage(event, describe_failure(event.error))
        case h.TimerFired():
            return f"timer {event.timer_id} {'woken' if event.woken else 'fired'}", ""
        case h.SignalReceived():
            return f"signal {event.name} received", describe_value(event.value)
        case h.ChildCompleted():
            return f"{_named('child', event.child_id, names)} completed", describe_value(event.result)
        case h.ChildFailed():
            return f"{_named('child', event.child_id, names)} failed", describe_failure(event.error)
        case h.HookResumed() if event.error:
            return f"hook {event.hook_id} failed", describe_failure(event.error)
        case h.HookResumed():
            return f"hook {event.hook_id} resumed", describe_value(event.value)
        case h.HookConflicted():
            return f"hook {event.hook_id} conflicted", "another live run holds its token"
        case h.UpdateReceived():
            return f"update {event.name} received", describe_value(event.args)
        case h.RunPaused():
            return "run paused", printable(": ".join(filter(None, [event.by and f"by {event.by}", event.reason])))
        case h.RunUnpaused():
            return "run unpaused", ""
        case h.CancelRequested():
            return "cancellation requested", printable(event.reason or "")
        case h.TerminateRequested():
            return "termination requested", printable(event.reason or "")
        case _:
            assert_never(event)


def _words_of_decision(event: AnyDecision, names: Mapping[str, str]) -> tuple[str, str]:
    """What the workflow decided, and with which data."""
    match event:
        case h.StepScheduled():
            return f"step {event.name} ({event.step_id}) scheduled", describe_value(event.input)
        case h.StepRetryScheduled():
            again = f"retries in {duration(event.due - event.at)}"
            return f"{_named('step', event.step_id, names)} {again}", f"attempt {event.attempt}"
        case h.StepAbandoned():
            return f"{_named('step', event.step_id, names)} abandoned", "no longer needed"
        case h.StepCancelRequested():
            return f"cancellation of {_named('step', event.step_id, names)} requested", "its outcome is waited for"
        case h.TimerStarted():
            return f"timer {event.timer_id} started", f"due in {duration(event.due - event.at)}"
        case h.TimerCancelled():
            return f"timer {event.timer_id} cancelled", ""
        case h.ChildStarted():
            child = f"child {event.workflow_name} ({event.child_id}) started as {event.child_run_id}"
            return child, describe_value(event.input)
        case h.ChildCancelRequested():
            return f"cancellation of {_named('child', event.child_id, names)} requested", "no longer needed"
        case h.HookCreated():
            return f"{'webhook' if event.webhook else 'hook'} {event.hook_id} created", printable(event.token)
        case h.HookDisposed():
            return f"hook {event.hook_id} disposed of", ""
        case h.Replied():
            kind, _, id = event.fact_id.partition("/")
            answered = f"{kind} {names.get(event.fact_id, id)} answered"
            return answered, describe_failure(event.error) if event.error else describe_value(event.result)
        case h.AttributesSet():
            if event.status_text is None:
                return "attributes set", describe_attributes(event.attributes)
            return "status set", " ".join([printable(event.status_text), describe_attributes(event.attributes)]).strip()
        case h.StreamWritten():
            return _words_of_stream(event)
        case h.VersionMarked():
            return f"took the new path of change {event.change_id}", ""
        case h.Applied():
            return f"applied {event.fact_id} to the workflow", ""
        case h.RunCompleted():
            return "run completed", describe_value(event.result)
        case h.RunFailed():
            return "run failed", describe_failure(event.error)
        case h.RunCancelled():
            return "run cancelled", printable(event.reason or "")
        case h.RunContinued():
            return _words_of_continuing(event)
        case _:
            assert_never(event)


def _words_of_continuing(event: h.RunContinued) -> tuple[str, str]:
    if event.error is None:
        return f"run continued as {event.next_run_id}", describe_value(event.input)
    return f"run failed; attempt {event.attempt} is {event.next_run_id}", describe_failure(event.error)


def _words_of_stream(event: h.StreamWritten) -> tuple[str, str]:
    if not event.count:
        return f"stream {event.stream} closed", ""
    values = "1 value" if event.count == 1 else f"{event.count} values"
    closed = ", and the stream closed" if event.closed else ""
    return f"{values} written to stream {event.stream}{closed}", describe_value(event.values)


def _with_usage(event: h.StepCompleted | h.StepFailed, said: str) -> str:
    return "  ".join(filter(None, [said, describe_usage(event.usage or ())]))


def _named(kind: str, id: str, names: Mapping[str, str]) -> str:
    name = names.get(id)
    return f"{kind} {name} ({id})" if name else f"{kind} {id}"
