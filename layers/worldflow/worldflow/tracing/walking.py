"""The traces of past runs: of a run, of those that follow it under its id, and of the children of all of them."""

from __future__ import annotations

from collections.abc import Iterator

from worldflow.engine.errors import RunNotFoundError
from worldflow.engine.history import ChildStarted, Event, RunContinued, RunForked, RunStarted
from worldflow.engine.ids import generation, generation_id, next_generation
from worldflow.tracing.described import TracedRun, TracedSpan, trace_of
from worldflow.worlds import reading
from worldflow.worlds.base import World


def whole_trace(world: World, run_id: str) -> Iterator[TracedSpan]:
    """The spans of a run, of the generations that follow it, and of their children. Raises `RunNotFoundError`."""
    if reading.find_history(world, run_id) is None:
        raise RunNotFoundError(run_id)
    waiting, seen = [run_id], {run_id}
    while waiting:
        history = reading.find_history(world, waiting[0]) or []
        traced = _traced(world, waiting.pop(0), history)
        if traced is None:
            continue  # it has not begun
        yield from trace_of(traced, history)
        following = next_generation(traced.run_id)
        nearby = [event.child_run_id for event in history if isinstance(event, ChildStarted)]
        for other in (*(child for child in nearby if _is_child(world, child, traced.run_id)), following):
            if other not in seen and (other != following or _follows(world, following, history)):
                seen.add(other)
                waiting.append(other)


def _traced(world: World, run_id: str, history: list[Event]) -> TracedRun | None:
    if not history or not isinstance(history[0], RunStarted):
        return None
    forked = _forked(history)
    return TracedRun.of(run_id, history[0], forked, _place(world, run_id, history[0]))


def _place(world: World, run_id: str, started: RunStarted) -> str | None:
    """What a run would have been started with, had anybody traced it then."""
    if started.traceparent:
        return None
    if started.parent:
        parent = _traced(world, started.parent.run_id, reading.find_history(world, started.parent.run_id) or [])
        return str(parent.context) if parent else None
    base, number = generation(run_id)
    if number > 1:
        before = generation_id(base, number - 1)
        history = reading.find_history(world, before) or []
        if _follows(world, run_id, history) and (traced := _traced(world, before, history)):
            return str(traced.parent or traced.context)
    return None


def _follows(world: World, run_id: str, before: list[Event]) -> bool:
    """Whether a run continues the one before it, rather than having been started anew under the same id."""
    if before and any(isinstance(event, RunContinued) and event.next_run_id == run_id for event in before):
        return True
    forked = _forked(reading.find_history(world, run_id) or [])
    started = before[0] if before else None
    return forked is not None and isinstance(started, RunStarted) and forked.run_id == started.run_id


def _is_child(world: World, run_id: str, parent: str) -> bool:
    """Whether a run is a child of this one or of another of its id: a fork's history has children of the first run."""
    record = reading.find_run(world, run_id)
    return bool(record and record.parent and generation(record.parent.run_id)[0] == generation(parent)[0])


def _forked(history: list[Event]) -> RunForked | None:
    forks = [event for event in history if isinstance(event, RunForked)]
    return forks[-1] if forks else None
