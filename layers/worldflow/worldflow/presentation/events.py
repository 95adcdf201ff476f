"""Events in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

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
    HookConflicted,
    HookCreated,
    HookDisposed,
    HookResumed,
    Replied,
    RunCancelled,
    RunCompleted,
    RunContinued,
    RunFailed,
    RunForked,
    RunRestored,
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
from worldflow.presentation.words import describe_attributes, describe_failure, describe_value, duration, printable

_STYLES: Mapping[type[object], str] = {
    StepCompleted: "green",
    StepFailed: "red",
    ChildCompleted: "green",
    ChildFailed: "red",
    SignalReceived: "magenta",
    HookResumed: "magenta",
    UpdateReceived: "magenta",
    HookConflicted: "red",
    CancelRequested: "yellow",
    TerminateRequested: "yellow",
    RunStarted: "bold",
    RunCompleted: "bold green",
    RunContinued: "bold green",
    RunFailed: "bold red",
    RunCancelled: "bold yellow",
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
            case StepScheduled(step_id=id, name=name) | UpdateReceived(fact_id=id, name=name):
                self._names[id] = name
            case ChildStarted(child_id=id, workflow_name=name) | HookResumed(fact_id=id, hook_id=name):
                self._names[id] = name
        line = Text(f"{event.seq:>5}  {'+' + duration(event.at - self._began):>12}  ", style="dim", end="")
        return Text("").append(line).append(describe_event(event, self._names))


def describe_event(event: Event, names: Mapping[str, str] | None = None) -> Text:
    """One event in words. `names` has those of steps, children and updates by their ids: most events leave them out."""
    what, detail = _words(event, names or {})
    text = Text(what, style=_STYLES.get(type(event), ""))
    if detail:
        text = Text("").append(text).append(f"  {detail}", style="dim")
    if isinstance(event, Fact) and event.held:
        text = Text("").append(text).append("  held until the workflow's code can run", style="yellow")
    return text


def _words(event: Event, names: Mapping[str, str]) -> tuple[str, str]:
    """What happened, and with which data."""

    def named(kind: str, id: str) -> str:
        name = names.get(id)
        return f"{kind} {name} ({id})" if name else f"{kind} {id}"

    match event:
        case RunStarted():
            version = f" (version {event.version})" if event.version not in (None, 1) else ""
            return f"run of {event.workflow_name}{version} started", describe_value(event.input)
        case RunForked():
            return f"history up to here taken from {event.run_id}", ""
        case RunRestored():
            return "run restored", "its later events were lost"
        case StepScheduled():
            return f"step {event.name} ({event.step_id}) scheduled", describe_value(event.input)
        case StepCompleted():
            return f"{named('step', event.step_id)} completed", describe_value(event.result)
        case StepFailed():
            return f"{named('step', event.step_id)} failed, attempt {event.attempt}", describe_failure(event.error)
        case StepRetryScheduled():
            again = f"retries in {duration(event.due - event.at)}"
            return f"{named('step', event.step_id)} {again}", f"attempt {event.attempt}"
        case StepAbandoned():
            return f"{named('step', event.step_id)} abandoned", "no longer needed"
        case TimerStarted():
            return f"timer {event.timer_id} started", f"due in {duration(event.due - event.at)}"
        case TimerFired():
            return f"timer {event.timer_id} fired", ""
        case TimerCancelled():
            return f"timer {event.timer_id} cancelled", ""
        case SignalReceived():
            return f"signal {event.name} received", describe_value(event.value)
        case ChildStarted():
            child = f"child {event.workflow_name} ({event.child_id}) started as {event.child_run_id}"
            return child, describe_value(event.input)
        case ChildCompleted():
            return f"{named('child', event.child_id)} completed", describe_value(event.result)
        case ChildFailed():
            return f"{named('child', event.child_id)} failed", describe_failure(event.error)
        case ChildCancelRequested():
            return f"cancellation of {named('child', event.child_id)} requested", "no longer needed"
        case HookCreated():
            return f"{'webhook' if event.webhook else 'hook'} {event.hook_id} created", printable(event.token)
        case HookResumed():
            return f"hook {event.hook_id} resumed", describe_value(event.value)
        case HookConflicted():
            return f"hook {event.hook_id} conflicted", "another live run holds its token"
        case HookDisposed():
            return f"hook {event.hook_id} disposed of", ""
        case UpdateReceived():
            return f"update {event.name} received", describe_value(event.args)
        case Replied():
            kind, _, id = event.fact_id.partition("/")
            answered = f"{kind} {names.get(event.fact_id, id)} answered"
            return answered, describe_failure(event.error) if event.error else describe_value(event.result)
        case AttributesSet():
            if event.status_text is None:
                return "attributes set", describe_attributes(event.attributes)
            return "status set", " ".join([printable(event.status_text), describe_attributes(event.attributes)]).strip()
        case VersionMarked():
            return f"took the new path of change {event.change_id}", ""
        case CancelRequested():
            return "cancellation requested", printable(event.reason or "")
        case TerminateRequested():
            return "termination requested", printable(event.reason or "")
        case Applied():
            return f"applied {event.fact_id} to the workflow", ""
        case RunCompleted():
            return "run completed", describe_value(event.result)
        case RunFailed():
            return "run failed", describe_failure(event.error)
        case RunCancelled():
            return "run cancelled", printable(event.reason or "")
        case RunContinued():
            return f"run continued as {event.next_run_id}", describe_value(event.input)
