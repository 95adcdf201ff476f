"""The course of one seed: what goes wrong, then good code and no faults, then the questions whether all is well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from datetime import timedelta
from functools import partial

from tests.simulation import invariants
from tests.simulation.simulation import Report, Simulation, Stuck, simulation
from tests.simulation.streaming import written_by
from tests.simulation.users import Users
from worldflow.runtime import sending
from worldflow.runtime.archive import archive_old_runs
from worldflow.runtime.sweep import sweep
from worldflow.worlds.base import World


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
            swept=sim.swept,
            commits=sum(len(commits) for commits in sim.store.commits.values()),
            runs=Counter(map(str, ends.elements())),
            notes=sim.notes,
            run_ids=sim.run_ids(),
        )


def _run(sim: Simulation, users: Users) -> list[str]:
    users.plan()
    sim.incidents.plan()
    sim.settle()
    sim.incidents.mend()
    users.crowd.go_round()
    sim.settle()
    if problems := invariants.at_rest(sim, users):
        return problems
    before = {run_id: sim.standing(run_id) for run_id in sim.run_ids()}
    hour = (sim.now // 3_600 + 1.5) * 3_600
    for _ in range(28 if sim.open_runs() else 0):
        # The caretaker's hours: with good code, the net under the net helps what is left. In the first three hours of a
        # run the daily poke passes it over.
        sim.now = max(sim.now, hour)
        users.ask("sweep", sweep)
        hour += 3_600
        sim.settle(until=hour)
    sim.settle()
    sim.is_swept = True
    problems = [*invariants.at_rest(sim, users), *invariants.after_a_day(sim), *invariants.undisturbed(sim, before)]
    if problems:
        return problems
    for way in (sending.cancel, sending.terminate):
        for run_id in sim.open_runs():
            users.ask(f"{way.__name__} {run_id}, at the end", partial(_end, way, run_id))
        sim.settle()
        if problems := invariants.at_rest(sim, users):
            return problems
    if problems := invariants.after_the_end(sim):
        return problems
    return _archive(sim, users) if sim.archives else []


def _archive(sim: Simulation, users: Users) -> list[str]:
    """All runs leave the tables, while things go wrong again."""
    known = {run_id: invariants.told(sim, run_id) for run_id in sim.run_ids()}
    written = written_by(sim, known)
    sim.now += 3 * 86_400
    for goes_wrong in (True, True, True, False):
        sim.faults.active = goes_wrong
        users.ask("archive", partial(archive_old_runs, older_than=timedelta(days=1)), tries=1, copies=0)
        sim.settle()
    return invariants.after_archiving(sim, known, written)


def _end(way: Callable[[World, str], None], run_id: str, world: World) -> None:
    way(world, run_id)
