"""The course of one seed: what goes wrong, then good code and no faults, then the questions whether all is well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from tests.simulation import invariants
from tests.simulation.simulation import Report, Simulation, Stuck, simulation
from tests.simulation.users import Users
from worldflow.runtime import requests


def run(seed: int, suppressed: Collection[str] = ()) -> Report:
    """Runs a seed to its end, and says what came of it."""
    with simulation(seed, suppressed) as sim:
        users, problems = Users(sim), []
        try:
            problems = _run(sim, users)
        except Stuck as error:
            problems = [f"stuck: {error}"]
        ends = Counter(record.status for run_id in sim.run_ids() if (record := sim.store.record(run_id)))
        return Report(
            seed=seed,
            problems=[*problems, *(f"an error of nobody's making: {surprise}" for surprise in sim.surprises)],
            injected=sim.faults.injected,
            struck=sim.faults.struck,
            happenings=sim.happenings,
            commits=sum(len(commits) for commits in sim.store.commits.values()),
            runs=Counter(map(str, ends.elements())),
            notes=sim.notes,
            run_ids=sim.run_ids(),
        )


def _run(sim: Simulation, users: Users) -> list[str]:
    users.plan()
    sim.plan_deployments()
    sim.settle()
    sim.mend()
    sim.settle()
    problems = invariants.at_rest(sim, users)
    if problems:
        return problems
    for run_id in sim.run_ids():
        _help(sim, users, run_id)
    sim.settle()
    problems = invariants.at_rest(sim, users) + invariants.after_help(sim)
    if problems:
        return problems
    for way in (requests.cancel, requests.terminate):
        for run_id in sim.open_runs():
            users.ask(f"{way.__name__} {run_id}, at the end", lambda world, way=way, id=run_id: way(world, id))  # type: ignore[misc]
        sim.settle()
        problems = invariants.at_rest(sim, users)
        if problems:
            return problems
    return invariants.after_the_end(sim, users)


def _help(sim: Simulation, users: Users, run_id: str) -> None:
    """What an operator does, now that the code is good: resumes what is blocked."""
    record = sim.store.record(run_id)
    assert record
    if record.status == "blocked" or (not record.ended and run_id not in sim.store.commits):
        users.ask(f"resume {run_id}", lambda world: requests.resume(world, run_id))
