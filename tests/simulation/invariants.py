"""What must hold of every seed, and when it is asked. Each invariant is a function that says what is wrong, line by
line: `run: what`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tests.simulation.crowding import OF_CROWDS
from tests.simulation.of_all import OF_ALL
from tests.simulation.of_each import OF_EACH, ORDER
from tests.simulation.runs import Run
from tests.simulation.streaming import written_by
from worldflow.engine.history import (
    Event,
)
from worldflow.engine.ids import is_of_run
from worldflow.worlds.records import RunRecord

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation
    from tests.simulation.users import Users


_NOT_OF_RUNS = ("schedule#", "throttle#", "window#", "joined#", "generation#limit#", "pauses#")
"""Items that stay when all runs are archived, or that expire."""


def at_rest(sim: Simulation, users: Users) -> list[str]:
    """What is wrong while nothing happens by itself any more."""
    runs = [Run(sim, run_id) for run_id in sim.run_ids()]
    begun = [run for run in runs if run.history]
    of_all = [*OF_ALL, *(OF_CROWDS if users.crowd.kind else ())]
    problems = [f"{check.__name__}: {run.id}: {problem}" for check in ORDER for run in begun for problem in check(run)]
    if not problems:  # of a history that is none, nothing else can be said
        problems = [f"{check.__name__}: {problem}" for check in of_all for problem in check(sim, users)]
    if not problems:
        problems = [f"{check.__name__}: {run.id}: {what}" for check in OF_EACH for run in begun for what in check(run)]
    return problems


def after_a_day(sim: Simulation) -> list[str]:
    """What is wrong when the code is good and the sweep has been everywhere."""
    runs = [Run(sim, run_id) for run_id in sim.run_ids()]
    stuck = [run for run in runs if run.is_blocked and not run.is_tainted]
    return [
        *(f"nothing_stays_blocked: {run.id}: {run.record.blocked_reason}" for run in stuck),
        *(f"everything_begins: {run.id}: has not begun" for run in runs if not run.history),
    ]


def undisturbed(sim: Simulation, before: Mapping[str, tuple[str, int]]) -> list[str]:
    """What the sweep has done to runs that were well. Counts those that it has helped, on which others may depend."""
    went_on = []
    for run_id, (status, commits) in before.items():
        if len(sim.store.commits.get(run_id, [])) == commits:
            continue
        if not commits:
            sim.swept["had not begun"] += 1
        elif status == "blocked":
            sim.swept["was blocked"] += 1
        else:
            went_on.append(run_id)
    return [] if sim.swept else [f"undisturbed: {run_id}: was well, and the sweep made it go on" for run_id in went_on]


def after_the_end(sim: Simulation) -> list[str]:
    """What is wrong when all runs were asked to end, and then told to."""
    return [f"everything_ends: {run_id}: does not end" for run_id in sim.open_runs()]


def told(sim: Simulation, run_id: str) -> tuple[RunRecord, list[Event]]:
    """What a reader is told of a run."""
    client = sim.reader
    return client.world.read_run(run_id), client.world.read_events(run_id)


def after_archiving(
    sim: Simulation, known: Mapping[str, tuple[RunRecord, list[Event]]], written: Mapping[str, object]
) -> list[str]:
    """What is wrong when all runs are archived: they are to be read as before, and nothing else is to be left."""
    store, problems = sim.store, []
    kept = [key for key in store.items if not key.endswith(("#claim", "#beat")) and not key.startswith(_NOT_OF_RUNS)]
    histories = [key for key in store.commits if is_of_run(key) or "#stream#" in key]
    left = {"records": store.records, "histories": histories, "items": kept, "schedules": store.schedules}
    problems += [f"nothing_is_left: {name} of {list(found)}" for name, found in left.items() if found]
    for run_id, (record, events) in known.items():
        found, history = told(sim, run_id)
        names = {"archived_at", "newest_run_id", "updated_at", "streams"}
        if found.model_dump(exclude=names) != record.model_dump(exclude=names) or history != events:
            problems.append(f"an_archived_run_is_read_as_before: {run_id}: it was {record}, and is {found}")
    if written != (now := written_by(sim, known)):
        problems.append(f"archived streams are read as before: they were {written}, and are {now}")
    return problems
