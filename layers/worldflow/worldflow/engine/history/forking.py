"""A history that continues another's: up to some event, or up to the failure of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import assert_never

from worldflow.engine import history as h
from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import AnyFact, Event, Fact, Failure, RunEnded
from worldflow.engine.history.editing import Edits, decides_again, edited
from worldflow.engine.history.state import RunState
from worldflow.engine.ids import child_run_id


def forked(history: Sequence[Event], run_id: str, after: int, edits: Edits | None = None) -> list[Event]:
    """The history of `run_id` that begins with another's, up to event `after` and what was decided with it.

    edits: see `editing.py`.
    Raises `InvalidInputError` where that holds no event, or the end of the run, and for what cannot be edited.
    """
    kept = up_to(history, after)
    if kept and after <= history[-1].seq and edits:
        kept = edited(kept, edits)
    if not kept or after > history[-1].seq or isinstance(kept[-1], RunEnded):
        raise InvalidInputError(f"a run cannot be forked at event {after}", [FieldError("after", _possible(history))])
    return _renamed(kept, run_id, lambda child: bool(child.detached))


def last_to_fork(history: Sequence[Event]) -> int:
    """The last event that a fork can take over; 0 for a run that has not begun."""
    if not history or not isinstance(history[-1], RunEnded):
        return len(history)
    return max(event.seq for event in history if isinstance(event, (Fact, h.Applied))) - 1


def settled(history: Sequence[Event], after: int, edits: Edits) -> int:
    """The event after which a fork continues that was asked for after event `after`: with what was decided by now, and
    no more.
    """
    kept = up_to(history, after)
    return after if decides_again(kept, edits) else len(kept)


def up_to(history: Sequence[Event], after: int) -> list[Event]:
    """The events up to number `after`, and what was decided with it."""
    kept = [event for event in history if event.seq <= after]
    for event in history[len(kept) :]:
        if isinstance(event, (Fact, h.Applied)):
            break
        kept.append(event)
    return kept


def streams_left(history: Sequence[Event], taken: Sequence[Event]) -> list[str]:
    """The streams to which a workflow wrote after what another run takes over of its history."""
    all_written, taken_over = RunState(history).streams, RunState(taken).streams
    return [stream for stream, entries in all_written.items() if entries > taken_over.get(stream, 0)]


def _possible(history: Sequence[Event]) -> str:
    """At which events a run can be forked."""
    if not history:
        return "the run has not started: there is no event to fork at"
    last = history[-1].seq
    if isinstance(history[-1], RunEnded):  # what was decided with the end is kept with it
        last = max(event.seq for event in history if isinstance(event, (Fact, h.Applied))) - 1
    if last == 0:
        return "the run ended in its first turn: there is no earlier event to fork at"
    return f"must be an event before the end of the run: 1 to {last}"


def retried(
    history: Sequence[Event], run_id: str, read: Callable[[Failure], Failure] = lambda failure: failure
) -> list[Event]:
    """The history of `run_id` that begins with that of a run that failed, up to what it failed of.

    Where that is the failure of a step or a child, the step is open again, with all its attempts, or the child is
    started anew. Where it is the workflow's own error, the last fact is held, to be applied by fixed code.
    Held too is what came later and counts still: signals, updates, values of hooks, and the results of steps and
    children that were under way. Raises `InvalidInputError` for a run that has not failed.

    read: makes of a failure as it is stored one with its message.
    """
    ended = history[-1] if history else None
    if not isinstance(ended, h.RunFailed):
        problem = "only a failed run can be retried"
        raise InvalidInputError(problem, [FieldError("run_id", problem)])
    cut, step_id = _cause(history, ended, read)
    failed = {event.fact_id for event in history if isinstance(event, h.StepFailed) and event.step_id == step_id}
    kept: list[Event] = [
        event
        for event in history[:cut]
        if not (isinstance(event, (h.StepFailed, h.StepRetryScheduled)) and event.step_id == step_id)
        and not (isinstance(event, h.Applied) and event.fact_id in failed)
    ]
    state = RunState(kept)
    for event in history[cut:]:
        is_last = event is history[cut] and step_id is None
        fact = _still_counts(event, state, is_last=is_last)
        if fact:
            fact = fact.model_copy(update={"held": True, "at": kept[-1].at if kept else event.at})
            state.record(fact)
            kept.append(fact)
    failed_children = {event.child_id for event in history if isinstance(event, h.ChildFailed)}

    def goes_on(child: h.ChildStarted) -> bool:
        return bool(child.detached) or (child.parent_close == "abandon" and child.child_id not in failed_children)

    return _renamed(kept, run_id, goes_on)


def _still_counts(event: Event, state: RunState, *, is_last: bool) -> AnyFact | None:
    """The fact to be held in place of an event that comes after the cut, if it is one."""
    if not isinstance(event, Fact):
        return None
    match event:
        case h.StepCompleted():
            step = state.steps.get(event.step_id)
            return event.model_copy(update={"attempt": step.attempt}) if step and step.attempt else None
        case h.SignalReceived() | h.UpdateReceived() | h.HookResumed() | h.ChildCompleted():
            return event if state.accepts(event) else None
        case (
            h.RunStarted()
            | h.RunForked()
            | h.RunRestored()
            | h.StepFailed()
            | h.ChildFailed()
            | h.HookConflicted()
            | h.CancelRequested()
        ):
            return event if is_last and state.accepts(event) else None
        case h.TimerFired() | h.TerminateRequested() | h.RunPaused() | h.RunUnpaused():
            return None  # a timer fires again by itself, if it still is to
        case _:
            assert_never(event)


def _cause(history: Sequence[Event], ended: h.RunFailed, read: Callable[[Failure], Failure]) -> tuple[int, str | None]:
    """Where what the run failed of begins, and the id of the step that failed, or "" for a child; None for neither."""
    if (at := _timeout(history, ended)) is not None:
        return at, None
    failures = {(failure.type, failure.message) for failure in _all(read(ended.error))}
    turns = {event.fact_id: index for index, event in enumerate(history) if isinstance(event, (Fact, h.Applied))}
    for event in reversed(history):
        if not isinstance(event, (h.StepFailed, h.ChildFailed)):
            continue
        error = read(event.error)
        if (error.type, error.message) in failures:
            return turns[event.fact_id], event.step_id if isinstance(event, h.StepFailed) else ""
    return max(turns.values()), None


def _timeout(history: Sequence[Event], ended: h.RunFailed) -> int | None:
    """Where the workflow's own time was over, if that is what it failed of."""
    started = history[0]
    if not isinstance(started, h.RunStarted) or started.timeout is None or ended.error.type != "builtins:TimeoutError":
        return None
    length = timedelta(seconds=started.timeout)
    own = {event.timer_id for event in history if isinstance(event, h.TimerStarted) and event.due - event.at >= length}
    fired = [n for n, event in enumerate(history) if isinstance(event, h.TimerFired) and event.timer_id in own]
    return fired[-1] if fired else None


def _all(failure: Failure) -> Iterator[Failure]:
    yield failure
    for part in (*failure.members, *filter(None, [failure.cause])):
        yield from _all(part)


def _renamed(events: Sequence[Event], run_id: str, goes_on: Callable[[h.ChildStarted], bool]) -> list[Event]:
    """The events as those of the run `run_id`. What chance comes from stays, so that replay decides the same.

    Children that are open are its own then, with ids of their own, except those that continue as they are.
    """
    done = {event.child_id for event in events if isinstance(event, (h.ChildCompleted, h.ChildFailed))}

    def of_this_run(event: Event) -> Event:
        if isinstance(event, h.RunStarted):
            return event.model_copy(update={"run_id": run_id, "seed": event.seed or event.run_id, "parent": None})
        if isinstance(event, h.ChildStarted) and event.child_id not in done and not goes_on(event):
            return event.model_copy(update={"child_run_id": child_run_id(run_id, event.child_id)})
        return event

    return [of_this_run(event).recorded(seq, event.at) for seq, event in enumerate(events, start=1)]
