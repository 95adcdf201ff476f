"""Notifies an observer of what happens: for metrics, traces and status events.

    turn        surrounds a turn
    committed   a commit is durable
    blocked     a run has become blocked
    attempt     surrounds an attempt of a step, queued or inline
    swept       a pass of the sweep is over
    traceparent is asked for the trace of a run that begins

Derive from `Observer` and override what is of interest; `Observers` makes one of several. What an observer raises is
logged and changes nothing. It is called in the threads of turns, several at a time, and holds up the work that it
observes: it should note what it learns, and send it later.

**How often.** A commit is reported by the turn that wrote it, when it is durable, and by no other: a turn that is taken
again finds the events recorded and reports only what it adds. So a start or an end is reported at most once. It is not
reported at all where the process dies between the commit and the report, or where the answer to the write is lost. A
turn is reported each time that it is taken, also when it then loses its conditional write; an attempt each time that it
runs.

What turns, commits and attempts hold includes the user's data, which belongs in no log: see `engine/privacy.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from worldflow.engine.history import Ended, Event, RunEnded, RunForked, RunStarted, StepCompleted, StepFailed
from worldflow.engine.privacy import loggable
from worldflow.worlds.messages import RunMessage, StepTask

NOTICEABLE_WAIT = 0.01
"""Seconds in a queue below which a history does not say that an attempt waited."""

_log = logging.getLogger("worldflow")


@dataclass(slots=True)
class TurnReport:
    """A turn that is being taken. The fields below `began_at` are filled in meanwhile."""

    run_id: str
    messages: Sequence[RunMessage]
    redo: bool
    """One of the messages was received before, or a turn just lost its conditional write."""
    began_at: datetime
    """By the world's clock."""
    workflow_name: str | None = None
    """None until the run is loaded, and where there is no such run."""
    replayed: int = 0
    """Events that were replayed to give the run a live execution; 0 where this process had one."""
    difference: str | None = None
    """Where that replay differs from the history in a way that does not block the run."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What a turn has committed."""

    turn: TurnReport
    started: RunStarted
    """The start of the run, in this commit or in an earlier one."""
    events: Sequence[Event]
    """What is new, in the order of the history."""
    became_long: bool
    """The history has grown past a fifth of the most events that it may have."""
    forked: RunForked | None = None
    """Of a fork or a retry: the last event that says so."""

    @property
    def run_id(self) -> str:
        return self.turn.run_id

    @property
    def starts(self) -> bool:
        """Whether the run began with this commit."""
        return self.events[0].seq == 1

    @property
    def adopted(self) -> int:
        """How many of the first events are another run's, which this one continues from: a fork's, or a retry's."""
        forks = [index for index, event in enumerate(self.events) if isinstance(event, RunForked)]
        return forks[-1] if forks else 0

    @property
    def ended(self) -> Ended | None:
        """How the run ended, if it did with this commit."""
        return next((event for event in self.events[self.adopted :] if isinstance(event, RunEnded)), None)


@dataclass(slots=True)
class Attempt:
    """An attempt of a step that is being run."""

    task: StepTask
    inline: bool
    redelivered: bool
    """The task was received before, or is sent again after a crash."""
    sent_at: datetime | None
    """When the task came into its queue; None for an inline attempt, and where that is not known."""
    began_at: datetime
    """By the world's clock."""
    outcome: StepCompleted | StepFailed | None = None
    """Filled in when the attempt has ended; None where it is cut off and will be run again."""

    @property
    def waited(self) -> float | None:
        """Seconds that the task was in its queue, where they are known and it was there for a noticeable time."""
        waited = (self.began_at - self.sent_at).total_seconds() if self.sent_at else 0.0
        return round(waited, 3) if waited >= NOTICEABLE_WAIT else None


@dataclass(frozen=True, slots=True)
class Blocked:
    """A run whose record says from now on that it is blocked."""

    turn: TurnReport
    reason: str


class Observer:
    """Ignores every notification."""

    def turn(self, turn: TurnReport) -> AbstractContextManager[object]:
        """Surrounds a turn. In a worker, turns of several runs are under way side by side in one thread: a context
        variable that is set here is seen by all of them.
        """
        return nullcontext()

    def committed(self, commit: Commit) -> None:
        """A commit is durable; what it asks for may not be sent yet."""

    def blocked(self, blocked: Blocked) -> None:
        """A run has become blocked: not reported again by the turns that find it so."""

    def attempt(self, attempt: Attempt) -> AbstractContextManager[object]:
        """Surrounds an attempt, in the task in which it runs: the step sees context variables that are set here.

        An attempt that is not run is not reported: it has an outcome already, is not wanted any more, or may run at
        most once and has begun before.
        """
        return nullcontext()

    def swept(self, report: SweepReport) -> None:
        """A pass of the sweep is over, or its time is."""

    def traceparent(self, run_id: str, created_at: datetime) -> str | None:
        """The traceparent that a run begins with which was started with none: it is recorded in its history. The same
        each time that it is asked. None where the run is not traced.
        """
        return None


class Observers(Observer):
    """Several observers, told in this order. What one of them raises is logged."""

    def __init__(self, *observers: Observer | None) -> None:
        self._observers = tuple(observer for observer in observers if observer is not None)

    def turn(self, turn: TurnReport) -> AbstractContextManager[object]:
        return self._surround(lambda observer: observer.turn(turn))

    def committed(self, commit: Commit) -> None:
        self._tell(lambda observer: observer.committed(commit))

    def blocked(self, blocked: Blocked) -> None:
        self._tell(lambda observer: observer.blocked(blocked))

    def attempt(self, attempt: Attempt) -> AbstractContextManager[object]:
        return self._surround(lambda observer: observer.attempt(attempt))

    def swept(self, report: SweepReport) -> None:
        self._tell(lambda observer: observer.swept(report))

    def traceparent(self, run_id: str, created_at: datetime) -> str | None:
        told: list[str | None] = []
        self._tell(lambda observer: told.append(observer.traceparent(run_id, created_at)))
        return next(filter(None, told), None)

    def _tell(self, tell: Callable[[Observer], object]) -> None:
        for observer in self._observers:
            try:
                tell(observer)
            except Exception as error:
                _complain(observer, error)

    def _surround(self, begin: Callable[[Observer], AbstractContextManager[object]]) -> AbstractContextManager[object]:
        if not self._observers:
            return nullcontext()
        return self._all(begin)

    @contextmanager
    def _all(self, begin: Callable[[Observer], AbstractContextManager[object]]) -> Iterator[None]:
        with ExitStack() as stack:
            for observer in self._observers:
                try:
                    manager = begin(observer)
                    manager.__enter__()
                except Exception as error:
                    _complain(observer, error)
                else:
                    stack.push(partial(_leave, observer, manager))
            yield


def _leave(observer: Observer, manager: AbstractContextManager[object], *raised: Any) -> None:
    """Leaves an observer's context manager, which can neither raise an exception nor suppress one."""
    try:
        manager.__exit__(*raised)
    except Exception as error:
        if error is not raised[1]:
            _complain(observer, error)


def _complain(observer: Observer, error: Exception) -> None:
    _log.error("the observer %s failed", type(observer).__qualname__, exc_info=loggable(error))


@dataclass(slots=True)
class SweepReport:
    """What a sweep has done."""

    open_runs: int = 0
    blocked_runs: int = 0
    """Those of the open runs that are blocked."""
    started: int = 0
    poked: int = 0
    complete: bool = True
    """False where time ran out."""
