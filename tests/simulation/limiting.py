"""What must hold of the limits of a seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from worldflow.engine.history import load_events
from worldflow.engine.history.limit_state import LimitState
from worldflow.engine.history.limits import LimitRow, read_token
from worldflow.engine.history.state import RunState
from worldflow.engine.ids import is_of_run

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation
    from tests.simulation.users import Users

Problems = Iterator[str]


def limits_are_kept(sim: Simulation, users: Users) -> Problems:
    """There were never more holders than places, and at rest only open attempts hold one or wait for one."""
    for key in [key for key in sim.store.commits if not is_of_run(key) and "#key#" in key]:
        state = LimitState()
        for commit in sim.store.commits[key]:
            before = len(state.holders)
            for row in cast("list[LimitRow]", load_events(commit.text)):
                state = state.applied(row)
                places = state.effective.concurrency
                if places is not None and len(state.holders) > max(places, before):
                    yield f"{key}: {len(state.holders)} hold {places} places after commit {row.seq}"
        if state.sealed:
            continue
        for token in [*state.holders, *state.waiting]:
            what = "holds" if token in state.holders else "waits for"
            run_id, step_id, attempt = read_token(token)
            history = RunState(sim.store.history(run_id)) if run_id in sim.store.commits else None
            step = history.steps.get(step_id or "") if history and not history.ended else None
            if step is None or step.attempt != attempt:
                yield f"{key}: {token} {what} a place, and is closed"
            elif what == "waits for" and state.room > 0:
                yield f"{key}: {token} waits, and there is room"
