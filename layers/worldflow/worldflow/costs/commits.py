"""A run's history, commit by commit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from worldflow.costs.streams import StreamCommits
from worldflow.engine import history as h
from worldflow.engine.history import Event
from worldflow.engine.ids import stream_key
from worldflow.turns.turn import PURE_EVENTS, PURE_SECONDS
from worldflow.worlds import reading, streams
from worldflow.worlds.base import World
from worldflow.worlds.histories import with_whole

Commits = Sequence[Sequence[Event]]
Outcome = h.StepCompleted | h.StepFailed


def commits_of(world: World, run_id: str) -> tuple[Commits, bool]:
    """The history of a run, commit by commit; and whether that is how it was written. Raises `RunNotFoundError`.

    Data of which earlier events hold parts is `Whole`: messages carry it so.

    An archive has no commits: their ends are derived from the times of the events.
    """
    if reading.stored_run(world, run_id).archived_at is None and (commits := world.load_commits(run_id)):
        return _with_whole(world, commits), True
    events = with_whole(reading.stored_events(world, run_id), world)
    return guessed_commits(events), not events


def streams_of(world: World, run_id: str) -> StreamCommits:
    """What was written to the streams of a run, of all its generations. An archive does not record the commits, which
    are then derived. Raises `RunNotFoundError`.
    """
    found: dict[str, Sequence[Sequence[h.StreamRow]]] = {}
    for name in streams.names(world, run_id):
        key = stream_key(run_id, name)
        commits = cast("list[list[h.StreamRow]]", world.load_commits(key))
        if not commits and (data := world.archive.get(key)):
            commits = [[row] for row in streams.load_stream(data)]
        found[name] = commits
    return found


def _with_whole(world: World, commits: Commits) -> Commits:
    events = iter(with_whole([event for commit in commits for event in commit], world))
    return [[next(events) for _ in commit] for commit in commits]


def guessed_commits(events: Iterable[Event]) -> Commits:
    """The commits of a history: what a turn committed was recorded at one time, unless it ran pure steps."""
    commits: list[list[Event]] = []
    inline: dict[str, bool] = {}
    for event in events:
        if isinstance(event, h.RunForked):
            commits = [[taken for commit in commits for taken in commit]]  # with all that it has taken over
        elif not commits or (event.at != commits[-1][-1].at and not _joins(event, commits[-1], inline)):
            commits.append([])
        commits[-1].append(event)
        if isinstance(event, h.StepScheduled) and event.inline:
            inline[event.step_id] = bool(event.pure)
    return commits


def _joins(event: Event, commit: Sequence[Event], inline: dict[str, bool]) -> bool:
    """Whether the result of a pure step was committed with results before it."""
    if not isinstance(event, Outcome) or not inline.get(event.step_id):
        return False
    first = commit[0]
    is_little = len(commit) < PURE_EVENTS and (commit[-1].at - first.at).total_seconds() < PURE_SECONDS
    return is_little and isinstance(first, Outcome) and first.step_id in inline
