"""A run as the store of a simulation has it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from tests.simulation import programs
from worldflow.engine.history import (
    Applied,
    Event,
    Fact,
    RunFailed,
    RunForked,
    RunStarted,
    StepFailed,
    load_events,
)
from worldflow.engine.history.state import RunState
from worldflow.engine.ids import generation, generation_id
from worldflow.worlds.payloads import fetch_failure
from worldflow.worlds.records import RunRecord

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation
    from tests.simulation.world import Commit


class Run:
    """A run as the store has it."""

    def __init__(self, sim: Simulation, run_id: str) -> None:
        record = sim.store.record(run_id)
        assert record
        self.sim = sim
        self.id = run_id
        self.record: RunRecord = record
        self.history: list[Event] = sim.store.history(run_id)

    @cached_property
    def state(self) -> RunState:
        return RunState(self.history)

    @cached_property
    def own(self) -> list[Event]:
        """The events that are not those of a run that it goes on from."""
        forks = [index for index, event in enumerate(self.history) if isinstance(event, RunForked)]
        return self.history[forks[-1] :] if forks else self.history

    @cached_property
    def received(self) -> set[str]:
        """The ids of the facts that it was told, also by the one that it follows."""
        told = {event.fact_id for event in self.history if isinstance(event, Fact)}
        return told.union(*(event.seen or () for event in self.history if isinstance(event, RunStarted)))

    @cached_property
    def is_tainted(self) -> bool:
        """Whether code had a part in it that the good code need not be able to go on from."""
        codes = self.sim.deployments.by_name
        if self.record.workflow_name == programs.NAME and any(
            codes[commit.code].taints for commit in self.sim.store.commits.get(self.id, ())
        ):
            return True
        source = self.record.fork_of
        return source is not None and run_of(self.sim, source.run_id).is_tainted

    def message_of(self, event: StepFailed | RunFailed) -> str:
        """The message of a failure."""
        return fetch_failure(self.sim.reader.world, event.error).message

    @cached_property
    def begun(self) -> Commit | None:
        """The commit with which its workflow learned of its start, if it has."""
        for commit in self.sim.store.commits.get(self.id, ()):
            for event in load_events(commit.text):
                if (isinstance(event, RunStarted) and not event.held) or (
                    isinstance(event, Applied) and event.fact_id == "start"
                ):
                    return commit
        return None

    @property
    def is_blocked(self) -> bool:
        return self.record.status == "blocked"

    @property
    def following(self) -> Iterator[Run]:
        """This run, and the generations after it."""
        base, number = generation(self.id)
        while (run_id := generation_id(base, number)) in self.sim.store.records:
            yield run_of(self.sim, run_id)
            number += 1

    @property
    def left_its_place(self) -> bool:
        """Whether it ended so that another run goes on in its place."""
        return self.state.successor is not None


def run_of(sim: Simulation, run_id: str) -> Run:
    """A run that others have asked about, unless something has been written of it since. Its history is not to be
    given to code.
    """
    stands = len(sim.store.commits.get(run_id, ())), sim.store.records.get(run_id)
    known = sim.known_runs.get(run_id)
    if known is None or known[0] != stands:
        known = sim.known_runs[run_id] = stands, Run(sim, run_id)
    return known[1]
