"""Whether the code of this process can continue the runs of a World: each history is replayed here, and nothing is
written, sent or run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from worldflow.engine.errors import (
    ConfigurationError,
    NonDeterminismError,
    PayloadCodecError,
    SerializationError,
    WorkflowNotFoundError,
    WorkflowStuckError,
    WorldflowError,
)
from worldflow.engine.history import Event, RunStarted
from worldflow.engine.workflow.ramps import workflow_for
from worldflow.runtime import queries
from worldflow.worlds import reading
from worldflow.worlds.base import World
from worldflow.worlds.outages import is_outage
from worldflow.worlds.records import RunRecord, Status

OPEN: Sequence[Status] = ("blocked", "paused", "running")

_READERS = 8
_BATCH = 40
"""Histories that are in memory at a time."""

_BLOCKING = (WorkflowNotFoundError, NonDeterminismError, SerializationError, ConfigurationError, WorkflowStuckError)

_PLACE = re.compile(r"((?:[A-Za-z]:)?[^\s:(]+\.py):(\d+)")
_RUN = re.compile(r"^run '[^']*'(?:, event (\d+))?:? ?")
_NUMBERED = re.compile(r"\b([a-z])\d+\b")
"""The ids of calls, which are others in a run that has gone round once more."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the workflow's code."""

    path: str
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What this process can do with a run."""

    run_id: str
    workflow: str
    version: int | None
    status: Status
    problem: str | None = None
    """Why the run would be blocked: with both sides, the history's and the code's."""
    event: int | None = None
    """The event of the history that the code does not lead to."""
    place: Place | None = None
    hint: str | None = None
    """How the replay differs, though the run continues."""

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def breaks(self) -> bool:
        """Whether it is open, and would be blocked."""
        return self.is_open and self.problem is not None


@dataclass(frozen=True, slots=True)
class Cause:
    """Verdicts with one reason."""

    verdicts: Sequence[Verdict]

    @property
    def example(self) -> Verdict:
        """Of a run that is open, if one is."""
        return max(self.verdicts, key=lambda verdict: verdict.is_open)

    @property
    def breaks(self) -> bool:
        return any(verdict.breaks for verdict in self.verdicts)


def records_to_check(
    world: World, *, workflows: Collection[str] = (), since: datetime | None = None, sample: int | None = None
) -> Iterator[RunRecord]:
    """Open runs, and those that started since a time and have ended.

    workflows: only these. Default: all.
    sample: at most this many runs of each workflow that are open, and as many that have ended: the newest.
    """
    counts: Counter[tuple[str, bool]] = Counter()

    def is_wanted(record: RunRecord) -> bool:
        counts[record.workflow_name, record.ended] += 1
        return sample is None or counts[record.workflow_name, record.ended] <= sample

    for status in OPEN:
        yield from filter(is_wanted, _listed(world, workflows, status, None))
    if since:
        yield from (record for record in _listed(world, workflows, None, since) if record.ended and is_wanted(record))


def _listed(
    world: World, workflows: Collection[str], status: Status | None, since: datetime | None
) -> Iterator[RunRecord]:
    workflow = next(iter(workflows)) if len(workflows) == 1 else None
    cursor: str | None = ""
    while cursor is not None:
        page = world.list_runs(status=status, workflow=workflow, started_after=since, limit=200, cursor=cursor or None)
        yield from (record for record in page.runs if not workflows or record.workflow_name in workflows)
        cursor = page.cursor


def verdicts(world: World, records: Iterable[RunRecord]) -> Iterator[Verdict]:
    """Replays the run of each record. Raises what is not about the code, such as an outage or a missing codec."""
    with ThreadPoolExecutor(_READERS) as readers:
        rest = iter(records)
        while some := list(islice(rest, _BATCH)):
            histories = readers.map(lambda record: _history(world, record.run_id), some)
            for record, history in zip(some, histories, strict=True):
                yield _verdict(world, record, history)


def _history(world: World, run_id: str) -> Sequence[Event]:
    return world.load_history(run_id) or reading.find_history(world, run_id) or ()


def _verdict(world: World, record: RunRecord, history: Sequence[Event]) -> Verdict:
    started = next((event for event in history if isinstance(event, RunStarted)), None)
    version = started.version if started else record.version
    verdict = Verdict(run_id=record.run_id, workflow=record.workflow_name, version=version, status=record.status)
    try:
        if started is None:
            workflow_for(record.workflow_name, record.run_id)
            return verdict
        with queries.replayed(world, record, history, advice="") as execution:
            differences = execution.recorded.differences
    except PayloadCodecError:
        raise
    except _BLOCKING as error:
        if is_outage(error):
            raise
        return _blocked(verdict, error)
    return replace(verdict, hint=differences[0], place=_place(differences[0])) if differences else verdict


def _blocked(verdict: Verdict, error: WorldflowError) -> Verdict:
    text = error.summary if isinstance(error, WorkflowNotFoundError) else str(error)
    seq = _RUN.match(text)
    problem = _RUN.sub("", text)
    return replace(
        verdict,
        problem=problem
        if isinstance(error, (NonDeterminismError, WorkflowNotFoundError))
        else f"{type(error).__name__}: {text}",
        event=int(seq[1]) if seq and seq[1] else None,
        place=_place(problem),
    )


def _place(said: str) -> Place | None:
    found = _PLACE.search(said)
    return Place(found[1], int(found[2])) if found else None


def causes(found: Iterable[Verdict]) -> list[Cause]:
    """The verdicts with a problem or a hint, by what is wrong: those that block open runs first."""
    groups: dict[tuple[object, ...], list[Verdict]] = {}
    for verdict in found:
        if said := verdict.problem or verdict.hint:
            key = (verdict.workflow, verdict.version, verdict.problem is None, _general(said))
            groups.setdefault(key, []).append(verdict)
    made = [Cause(group) for group in groups.values()]
    return sorted(made, key=lambda cause: (not cause.breaks, cause.example.problem is None, -len(cause.verdicts)))


def _general(said: str) -> str:
    """What is said of a run, without what is its own: the numbers of events and of calls."""
    return _NUMBERED.sub(r"\1", re.sub(r"\bevent \d+", "event", said))
