"""The recorded history of a run, and the replay of it.

A replay gives the run the facts and compares each decision with the one recorded: kind, id and name. What was recorded
is also at hand by the ids of calls meanwhile, so that it need not be made again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Container, Sequence
from datetime import datetime
from typing import Protocol

from worldflow.engine import history as h
from worldflow.engine.errors import NonDeterminismError
from worldflow.engine.history import AnyDecision, AnyFact, Decision, Event, Fact, Json
from worldflow.engine.history.state import with_what_was_unknown
from worldflow.engine.unawaited import Made, Origin
from worldflow.engine.values.forms import Seen
from worldflow.engine.values.signatures import Signature
from worldflow.engine.workflow.comparing import other_arguments

NO_RETRY = h.StepRetryScheduled(step_id="", attempt=0, due=h.UNRECORDED)
"""In place of a retry: there is none."""


class Replayed(Protocol):
    """The run, as its replay knows it."""

    run_id: str
    strict: bool
    length: int
    patches: dict[str, bool]

    def take_fact(self, fact: AnyFact, at: datetime, recorded_retry: h.StepRetryScheduled | None) -> list[AnyDecision]:
        """Gives the workflow a fact, with the run's loop entered, and returns its decisions."""

    def set_clock(self, at: datetime) -> None:
        """Moves the time in the workflow."""

    def is_settled(self) -> bool:
        """Whether nothing is ready to run and nothing was decided since the last fact."""

    def end_by_force(self) -> None:
        """Ends the run as it stands."""

    def where(self) -> str:
        """Where the workflow's code waits, for the end of a message."""


class Recorded:
    """What the history of a run holds, while it is replayed."""

    def __init__(self, run: Replayed) -> None:
        self._run = run
        self.ids: dict[str, str] = {}
        """The run ids of children, the tokens of hooks and the locks of entities, by the ids of their calls."""
        self.steps: dict[str, h.StepScheduled] = {}
        self.children: dict[str, h.ChildStarted] = {}
        self.patches: Container[str] = ()
        """The changes that the run was marked to have."""
        self.differences: list[str] = []
        """The calls whose arguments are not those that the history holds, in words."""
        self.anew: dict[str, Json] = {}
        """The arguments of the calls of a history that is adopted, by their ids, where the code has others now."""
        self.seen: Seen | None = None if run.strict else {}
        """The items of arguments that were found to be those that the history holds."""
        self._other_arguments: dict[str, str] = {}
        """The same, by the ids of the calls, until the replay has come to them."""
        self._adopted = 0.0
        """Up to this event a history is another run's: arguments may be made of that one's id."""
        self._events: Sequence[Event] = ()
        self._next = 0
        """The place in `_events` that the replay has come to."""

    @property
    def last(self) -> Event | None:
        """The last event of the history that is replayed."""
        return self._events[-1] if self._events else None

    def replay(self, events: Sequence[Event], *, adopted: bool) -> None:
        """Brings the run to where the history ends. Raises `NonDeterminismError`, and what the run raises.

        adopted: the history is another run's, which this one is about to continue.
        """
        self._adopted = math.inf if adopted else 0.0
        self._events = events
        try:
            self._index()
            self._follow()
        finally:
            self._events = ()
            self.steps.clear()
            self.seen = None
            self.children.clear()

    def _index(self) -> None:
        patches: set[str] = set()
        self.patches = patches
        for event in self._events:
            match event:
                case h.StepScheduled():
                    self.steps[event.step_id] = event
                    if event.lock is not None:
                        self.ids[event.step_id] = event.lock
                case h.StepCompleted():
                    pass  # the other half of most histories
                case h.ChildStarted():
                    self.ids[event.child_id] = event.child_run_id
                    self.children[event.child_id] = event
                case h.HookCreated():
                    self.ids[event.hook_id] = event.token
                case h.VersionMarked():
                    patches.add(event.change_id)
                case h.RunForked():
                    self._adopted = event.seq

    def _follow(self) -> None:
        run, events = self._run, self._events
        expected: deque[AnyDecision] = deque()
        held: dict[str, AnyFact] = {}
        while self._next < len(events):
            event = events[self._next]
            self._next += 1
            if isinstance(event, h.StepScheduled):
                self._compare(expected.popleft() if expected else None, event)
            elif event.held:
                held[event.fact_id] = event
                run.length += 1
            elif isinstance(event, (Fact, h.Applied)):
                if expected:
                    self._expect_none(expected, event)
                fact = held.pop(event.fact_id) if isinstance(event, h.Applied) else event
                if isinstance(event, h.Applied) and isinstance(fact, h.RunStarted):
                    fact = with_what_was_unknown(fact, event)
                follows = events[self._next] if self._next < len(events) else None
                retry = follows if isinstance(follows, h.StepRetryScheduled) else None
                expected.extend(run.take_fact(fact, event.at, retry or NO_RETRY))
            elif isinstance(event, h.VersionMarked):
                run.length += 1
                self._check_patch(event)
            elif isinstance(event, (h.RunFailed, h.RunCancelled)) and event.forced:
                run.length += 1
                run.end_by_force()
            else:
                self._compare(expected.popleft() if expected else None, event)
        self._expect_none(expected, None)

    def _check_patch(self, event: h.VersionMarked) -> None:
        if event.change_id not in self._run.patches and not event.deprecated:
            raise NonDeterminismError(
                f"run {self._run.run_id!r}, event {event.seq}: the history has the change {event.change_id!r}, "
                f"but the workflow's code calls neither patched() nor deprecate_patch() for it{self._run.where()}"
            )

    # --- what the run need not wait for ---

    def completion(self, scheduled: h.StepScheduled) -> h.StepCompleted | None:
        """The completion of a step that is being called, where the replay would come to it next, with nothing to run in
        between: then the workflow need not wait for it.
        """
        events, place = self._events, self._next
        if not self._run.is_settled() or len(events) < place + 2 or events[place] is not scheduled:
            return None
        event = events[place + 1]
        if isinstance(event, h.StepCompleted) and event.step_id == scheduled.step_id and not event.held:
            return event
        return None

    def pass_over(self, completed: h.StepCompleted) -> None:
        """Moves the replay past a step that `completion` answered."""
        self._run.set_clock(completed.at)
        self._next += 2
        self._run.length += 2

    # --- comparing ---

    def compare_arguments(self, call_id: str, signature: Signature, recorded: Json, now: Json, origin: Made) -> None:
        """Notes that a replay calls a step or a child with other arguments than the history holds, if it does."""
        if names := other_arguments(signature, recorded, now):
            made = Origin(*origin)
            different = f"a different {' and a different '.join(names)}"
            self._other_arguments[call_id] = f"{made} with {different} than in the history"

    def _compare(self, actual: Decision | None, recorded: Decision) -> None:
        if actual is recorded:
            return
        if actual is None or actual.identity != recorded.identity:
            raise NonDeterminismError(
                f"run {self._run.run_id!r}, event {recorded.seq}: the history has {_describe(recorded)}, "
                f"but the workflow's code now asks for {_describe(actual)}{self._run.where()}"
            )
        difference = self._other_arguments.pop(recorded.identity[1], None) if self._other_arguments else None
        if difference and recorded.seq <= self._adopted:
            if isinstance(actual, (h.StepScheduled, h.ChildStarted)):
                self.anew[recorded.identity[1]] = actual.input
        elif difference:
            self.differences.append(f"event {recorded.seq}: {difference}")
            if self._run.strict:
                raise NonDeterminismError(
                    f"run {self._run.run_id!r}, {self.differences[-1]}. Values that vary must come from the workflow's "
                    f"arguments, from a step, or from worldflow.uuid4(), random() or now()"
                )

    def _expect_none(self, expected: deque[AnyDecision], event: Event | None) -> None:
        if expected:
            where = f"before event {event.seq} ({event.event_type})" if event else "at its end"
            raise NonDeterminismError(
                f"run {self._run.run_id!r}: the workflow's code now asks for {_describe(expected[0])}, "
                f"but the history has no such decision {where}{self._run.where()}"
            )


def _describe(decision: Decision | None) -> str:
    if decision is None:
        return "nothing"
    return " ".join(part for part in decision.identity if part)
