"""What must hold of the crowd of a seed: each start has its run, which begins when it may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.simulation.crowds import BATCH, CROWDS, DEBOUNCE, THROTTLE, Asked
from tests.simulation.runs import Run, run_of
from worldflow.engine.durations import seconds
from worldflow.engine.history import RunCancelled, RunFailed
from worldflow.engine.ids import generation
from worldflow.worlds.messages import Delayed, Start, load_message
from worldflow.worlds.payloads import fetch

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation
    from tests.simulation.users import Users

Problems = Iterator[str]


def all_of_a_crowd_end(sim: Simulation, users: Users) -> Problems:
    """Nobody waits for a place, for a time or for others for ever."""
    for record in users.crowd.waiting():
        yield f"{record.run_id}: is {record.status}"


def a_start_is_of_one_run(sim: Simulation, users: Users) -> Problems:
    """Whoever asks again for a start is told of the same run."""
    for start_id, asked in users.crowd.asked.items():
        if (
            start_id not in users.crowd.removed
            and len({generation(_joined(sim, run_id))[0] for run_id in asked.run_ids}) > 1
        ):
            yield f"{start_id}: is of {asked.run_ids}"


def a_batch_has_each_start_once(sim: Simulation, users: Users) -> Problems:
    """Each start whose sender was told so is in one batch and no other, with its rows in order."""
    runs = _runs(sim, "batch")
    delivered = {run.id: _given(run)["rows"] for run in runs}
    for row, count in Counter(row for rows in delivered.values() for row in rows).items():
        if count > 1:
            yield f"row {row} is in {count} places of {delivered}"
    for start_id, asked in users.crowd.asked.items():
        if users.crowd.kind == "batch" and asked.run_ids:
            rows = delivered.get(_joined(sim, asked.run_ids[0]), [])
            if 10 * asked.number not in rows:
                yield f"{start_id}: was told of {asked.run_ids[0]}, and is not in {delivered}"
    for run_id, rows in delivered.items():
        starts = [[row for row in rows if row // 10 == number] for number in dict.fromkeys(row // 10 for row in rows)]
        if [row for start in starts for row in sorted(start)] != rows:
            yield f"{run_id}: its rows are {rows}"
        if len(rows) - len(starts[-1]) >= BATCH.size:
            yield f"{run_id}: was full before its last start: {rows}"


def the_last_start_is_debounced(sim: Simulation, users: Users) -> Problems:
    """No other that joined a run was asked for after the one whose input it has was answered."""
    by_number = {asked.number: asked for asked in users.crowd.asked.values()}
    for run in _runs(sim, "debounce"):
        joined = _joiners(sim, users, run)
        won = by_number[_given(run)["item"]]
        for asked in joined:
            if won.answered is not None and asked.tick > won.answered:
                yield f"{run.id}: has the input of start {won.number}, and {asked.number} came after it"


def what_gathers_begins_in_its_time(sim: Simulation, users: Users) -> Problems:
    """Not before its time, unless a signal came for it or it was full; and its start is sent to come by then."""
    close = 2 * sim.skew + 0.5
    for kind in ("debounce", "batch"):
        for run in _runs(sim, kind):
            first = run.record.created_at
            longest = seconds(DEBOUNCE.max_wait or 0) if kind == "debounce" else seconds(BATCH.wait)
            latest = first + timedelta(seconds=longest)
            for due in _starts_of(sim, run.id):
                if due > latest:
                    yield f"{run.id}: is to begin {due - latest} too late"
            if users.crowd.is_signalled or (kind == "batch" and len(_given(run)["rows"]) >= BATCH.size):
                continue
            last = max((asked.at for asked in _joiners(sim, users, run)), default=first.timestamp())
            earliest = (
                latest.timestamp() if kind == "batch" else min(last + seconds(DEBOUNCE.period), latest.timestamp())
            )
            begun = run.begun
            if begun and begun.at + close < earliest:
                yield f"{run.id}: began {earliest - begun.at} s early"


def a_throttle_is_kept(sim: Simulation, users: Users) -> Problems:
    """By any moment no more have begun than its rate has let through since the first was asked for."""
    asked = users.crowd.asked.values()
    begun = sorted(commit.at for run in _runs(sim, "throttle") if (commit := run.begun))
    for number, at in enumerate(begun):
        earliest = min(one.at for one in asked) + max(0, number + 1 - THROTTLE.burst) * THROTTLE.rate.interval
        if at + 2 * sim.skew + 0.001 < earliest:
            yield f"number {number + 1} began {earliest - at} s early: {begun}"


def a_schedule_starts_one_run_each_time(sim: Simulation, users: Users) -> Problems:
    """Within its jitter; and none next to another, unless that is allowed."""
    fired = {message.run_id: message for message in sim.recurring.fired}
    runs = {
        run.id: run for run_id in sim.run_ids() if run_id.startswith("crowd:") and (run := run_of(sim, run_id)).history
    }
    for run_id, run in runs.items():
        if generation(run_id)[1] > 1:
            continue
        schedule, due = sim.recurring.armed["crowd"], fired[run_id].due
        begins = schedule.begins_at(due) or due
        if not due <= begins <= due + timedelta(seconds=schedule.jitter or 0):
            yield f"{run_id}: is to begin {begins - due} after it is due"
        if run.begun and run.begun.at + sim.skew < begins.timestamp():
            yield f"{run_id}: began {begins.timestamp() - run.begun.at} s early"
    overlap = sim.recurring.armed["crowd"].overlap if runs else None
    if overlap in ("allow", "buffer_all"):
        for run_id in fired.keys() - runs.keys():
            yield f"{run_id}: was due, and has not begun"
    if overlap in ("skip", "buffer_all"):
        yield from _together(list(runs.values()), 1)


def runs_have_places(sim: Simulation, users: Users) -> Problems:
    """No more of a limited workflow are under way than its limit ever allowed."""
    for kind in ("queue", "skip", "fail", "newest"):
        allowed = max([CROWDS[kind].starts.limit.concurrency or 0, users.crowd.most])  # type: ignore[union-attr]
        yield from _together(_runs(sim, kind), allowed)


def who_is_refused_has_found_no_place(sim: Simulation, users: Users) -> Problems:
    """Somebody else was under way, or about to be, when a turn refused a run."""
    for kind in ("skip", "fail"):
        runs = [run for run_id in sim.run_ids() if (run := run_of(sim, run_id)).record.workflow_name == f"crowd.{kind}"]
        for run in runs:
            match run.state.ended:
                case RunCancelled(forced=True, reason=str(reason)) if "skipped" in reason:
                    holder = reason.partition("'crowd.skip' is held by run '")[2].strip("'")
                case RunFailed(forced=True) as failed if failed.error.type.endswith(":LimitExceededError"):
                    holder = run.message_of(failed).partition("is held by run '")[2].strip("'")
                case _:
                    continue
            if holder == run.id or holder not in sim.store.records:
                yield f"{run.id}: was refused for {holder!r}"


OF_CROWDS = [
    all_of_a_crowd_end,
    a_start_is_of_one_run,
    a_batch_has_each_start_once,
    the_last_start_is_debounced,
    what_gathers_begins_in_its_time,
    a_throttle_is_kept,
    a_schedule_starts_one_run_each_time,
    runs_have_places,
    who_is_refused_has_found_no_place,
]


# --- what they ask -------------------------------------------------------------------------------------------------


def _runs(sim: Simulation, kind: str) -> list[Run]:
    """The first generations of a crowd's runs that have begun."""
    runs = [run_of(sim, run_id) for run_id in sim.run_ids() if generation(run_id)[1] == 1]
    return [run for run in runs if run.record.workflow_name == f"crowd.{kind}" and run.begun]


def _given(run: Run) -> Any:
    started = run.state.started
    assert started
    return fetch(run.sim.reader.world, started.input)


def _joined(sim: Simulation, run_id: str) -> str:
    """The run that has a start. One that was started without its code has found it in its first turn."""
    run = run_of(sim, run_id)
    reason = getattr(run.state.ended, "reason", None) or ""
    return reason.rpartition(" ")[2] if reason.startswith("its start was added to run") else run_id


def _joiners(sim: Simulation, users: Users, run: Run) -> list[Asked]:
    asked = users.crowd.asked.values()
    return [one for one in asked if one.run_ids and _joined(sim, one.run_ids[0]) == run.id]


def _starts_of(sim: Simulation, run_id: str) -> Iterator[Any]:
    """When the starts of a run were to come."""
    for stored in sim.queues["timers"].sent:
        message = load_message(stored.body)
        if isinstance(message, Delayed) and isinstance(message.message, Start) and message.message.run_id == run_id:
            yield message.due


def _together(runs: list[Run], places: int) -> Problems:
    """Runs that are under way at the same time, with all that follow them, beyond so many places."""
    changes: list[tuple[int, int, str]] = []
    for run in runs:
        if run.begun is None:
            continue
        last = list(run.following)[-1]
        changes.append((run.begun.tick, 0, run.id))
        if last.state.ended and not last.left_its_place:
            changes.append((run.sim.store.commits[last.id][-1].tick, 1, run.id))
    under_way: set[str] = set()
    for _, is_end, run_id in sorted(changes):
        under_way = under_way - {run_id} if is_end else under_way | {run_id}
        if len(under_way) > places:
            yield f"{sorted(under_way)} are under way, and there are {places} places"
