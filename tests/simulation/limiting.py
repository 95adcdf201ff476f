"""What must hold of the limits of a seed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from tests.simulation.runs import run_of
from worldflow.engine.history import CancelRequested, load_events
from worldflow.engine.history.limit_state import LimitState
from worldflow.engine.history.limits import LimitRow, read_token
from worldflow.engine.ids import is_of_run

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation
    from tests.simulation.users import Users

Problems = Iterator[str]


def limits_are_kept(sim: Simulation, users: Users) -> Problems:
    """There were never more holders than places, and at rest only open attempts and runs hold one or wait for one."""
    for key in _histories(sim):
        state, late = LimitState(), _asked_late(sim, key)
        for row in _rows(sim, key):
            before, state = len(state.holders), state.applied(row)
            places = state.effective.concurrency
            if row.snapshot is None and places is not None and len(state.holders) > max(places, before):
                yield f"{key}: {len(state.holders)} hold {places} places after commit {row.seq}"
        if state.sealed:
            continue
        for token in [*state.holders, *state.waiting]:
            what = "holds" if token in state.holders else "waits for"
            if token in late or read_token(token)[0] in users.crowd.removed:
                continue
            if not _is_open(sim, token):
                yield f"{key}: {token} {what} a place, and is closed"
            elif what == "waits for" and state.room > 0:
                yield f"{key}: {token} waits, and there is room"


def places_go_to_who_is_next(sim: Simulation, users: Users) -> Problems:
    """The lowest priority first; of these the value of fairness that had its turn longest ago; of these the oldest."""
    for key in _histories(sim):
        last: dict[str | None, int] = {}
        waiting: dict[str, tuple[int, str | None, int]] = {}
        asked, granted = 0, 0
        for row in _rows(sim, key):
            if row.snapshot is not None:
                last = {fairness: number for fairness, number in row.snapshot["turns"]}
                waiting = {token: (p, f, place) for place, (token, p, f, *_) in enumerate(row.snapshot["waiting"])}
                asked, granted = len(waiting), row.snapshot["granted"]
            for token in (*row.ends, *row.parks):
                waiting.pop(token, None)
            for token, priority, fairness, _ in row.asks:
                asked += 1
                waiting[token] = priority, fairness, asked
            for token, _ in row.grants:
                next_one = min(waiting, key=lambda one: _rank(waiting[one], last))
                if token != next_one:
                    yield f"{key}: commit {row.seq} gives a place to {token}, and {next_one} was next"
                granted += 1
                last[waiting.pop(token)[1]] = granted


def the_oldest_makes_room(sim: Simulation, users: Users) -> Problems:
    """The newest is not asked to end for another. Which one that is, the clocks of processes say."""
    keys = [key for key in sorted(_histories(sim)) if "#crowd.newest#" in key and not sim.skew]
    rows = enumerate(row for key in keys for row in _rows(sim, key))
    asked = {read_token(token)[0]: number for number, row in rows for token, *_ in row.asks}  # last: after a pause
    for run_id in asked.keys() & sim.store.records.keys():
        for event in run_of(sim, run_id).history:
            makes_room = "makes room for run" in (getattr(event, "reason", None) or "")
            if isinstance(event, CancelRequested) and makes_room and asked[run_id] == max(asked.values()):
                yield f"{run_id}: was asked to make room, and no other came after it"


def _rank(asker: tuple[int, str | None, int], last: dict[str | None, int]) -> tuple[int, int, int]:
    priority, fairness, place = asker
    return priority, last.get(fairness, 0), place


def _asked_late(sim: Simulation, key: str) -> set[str]:
    """Those that a turn asked for which outlived its visibility: their run may be over. Who waits finds them dead."""
    late = [commit for commit in sim.store.commits[key] if commit.invocation in sim.outlived]
    rows = [row for commit in late for row in cast("list[LimitRow]", load_events(commit.text))]
    return {token for row in rows for token, *_ in row.asks}


def _is_open(sim: Simulation, token: str) -> bool:
    run_id, step_id, attempt = read_token(token)
    if run_id not in sim.store.records:
        return False
    if step_id is None:  # over all generations
        return not list(run_of(sim, run_id).following)[-1].state.ended
    state = run_of(sim, run_id).state
    step = state.steps.get(step_id)
    return step is not None and step.attempt == attempt and not state.ended


def _histories(sim: Simulation) -> list[str]:
    return [key for key in sim.store.commits if not is_of_run(key) and "#key#" in key]


def _rows(sim: Simulation, key: str) -> Iterator[LimitRow]:
    for commit in sim.store.commits[key]:
        yield from cast("list[LimitRow]", load_events(commit.text))


def attempts_have_places(sim: Simulation, users: Users) -> Problems:
    """No two attempts run at a time whose limit has one place, unless a process outlived its visibility."""
    runs = [
        (execution.began, execution.ended, key)
        for key, executions in sim.executions.items()
        for execution in executions
        if execution.limit == "simulated" and execution.ended is not None and execution.invocation not in sim.outlived
    ]
    for (_, ended, one), (began, _, other) in pairwise(sorted(runs)):
        if one != other and began < ended:
            yield f"{'/'.join(map(str, other))} began (request {began}) while {'/'.join(map(str, one))} ran"
