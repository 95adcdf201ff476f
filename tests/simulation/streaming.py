"""What must hold of the streams of a seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tests.simulation import programs
from tests.simulation.runs import Run, run_of
from tests.support.stream_values import all_items, followed, what_stands
from worldflow.engine.history import (
    RunForked,
    StepCompleted,
    StepScheduled,
    StreamItem,
    StreamRows,
    StreamWritten,
)
from worldflow.engine.ids import generation, stream_key
from worldflow.worlds.payloads import fetch

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation
    from tests.simulation.users import Users

Problems = Iterator[str]


def streams_agree(sim: Simulation, users: Users) -> Problems:
    """Each stream has what the workflow decided to write, and what the attempts wrote that completed: once each."""
    runs = [run_of(sim, run_id) for run_id in sim.run_ids()]
    for run in runs:
        if generation(run.id)[1] > 1:
            continue
        generations = [one for one in run.following if one.history]
        for name in programs.STREAMS:
            yield from _has_no_gap(run, name)
            yield from _has_what_was_decided(run, generations, name)
            yield from _has_what_was_completed(generations, name)
            yield from _is_read_from_any_offset(run, name)


def written_by(sim: Simulation, run_ids: Iterable[str]) -> dict[str, list[Any]]:
    """What a reader is told of the streams of runs."""
    keys = {(generation(run_id)[0], name) for run_id in run_ids for name in programs.STREAMS}
    return {stream_key(*key): followed(sim.reader.world, *key) for key in sorted(keys)}


def _has_no_gap(run: Run, name: str) -> Problems:
    expected = 1
    for commit in run.sim.store.commits.get(stream_key(run.id, name), ()):
        if commit.first != expected:
            yield f"{run.id}, {name}: offset {commit.first} follows {expected - 1}"
        expected = commit.last + 1


def _has_what_was_decided(run: Run, generations: list[Run], name: str) -> Problems:
    world = run.sim.reader.world
    before: dict[str, list[Any]] = {}
    whole: list[Any] = []
    for one in generations:
        forks = [event for event in one.history if isinstance(event, RunForked)]
        follows = forks[-1].run_id if forks and generation(forks[-1].run_id)[0] == generation(one.id)[0] else None
        before[one.id] = before[follows] if follows else whole
        decided = [event for event in one.history if isinstance(event, StreamWritten) and event.stream == name]
        whole = before[one.id] + [value for event in decided for value in fetch(world, event.values)]
    found = [item.value for item in what_stands(all_items(world, run.id, name)) if item.step_id is None]
    if found == whole or (any(_replaces(one) for one in generations) and sorted(found) == sorted(whole)):
        return  # of a run that takes the place of another, both may write at once
    last = run.sim.store.commits[generations[-1].id][-1]
    if not run.sim.is_swept and last.invocation in run.sim.outlived and found == whole[: len(found)]:
        return  # it died before it wrote this, and another had acknowledged its message: the daily poke does it
    yield f"{run.id}, {name}: has {found} of the workflow, which decided {whole}"


def _replaces(run: Run) -> bool:
    started = run.state.started
    return started is not None and started.replaces is not None


def _has_what_was_completed(generations: list[Run], name: str) -> Problems:
    for run in generations:
        world = run.sim.reader.world
        scheduled = {
            event.step_id: fetch(world, event.input)["item"]
            for event in run.history
            if isinstance(event, StepScheduled)
            and event.name == programs.stream.name
            and fetch(world, event.input)["name"] == name
        }
        for event in run.own:
            if isinstance(event, StepCompleted) and event.step_id in scheduled:
                item = scheduled[event.step_id]
                expected = [[item, number] for number in range(programs.count_of(item))]
                found = _of_step(run, name, event.step_id)
                if found != expected:
                    yield f"{run.id}, {name}: {event.step_id} has {found} and completed with {expected}"


def _of_step(run: Run, name: str, step_id: str) -> list[Any]:
    """What stands of a step, as it was called in this generation."""
    step = (_called_in(run, step_id), step_id)
    offsets: set[int] = set()
    for row in run.sim.store.history(stream_key(run.id, name)):
        found: Any = row
        if isinstance(found, StreamRows) and found.step == step:
            offsets |= set(range(found.seq, found.seq + found.count))
    items: list[StreamItem[Any]] = what_stands(all_items(run.sim.reader.world, run.id, name))
    return [item.value for item in items if item.offset in offsets]


def _called_in(run: Run, step_id: str) -> int:
    """The generation in which a step was called first, if this run took it over from one that it retries."""
    called = next(n for n, one in enumerate(run.history) if isinstance(one, StepScheduled) and one.step_id == step_id)
    forks = [event for event in run.history[called:] if isinstance(event, RunForked)]
    base, number = generation(run.id)
    return generation(forks[0].run_id)[1] if forks and generation(forks[0].run_id)[0] == base else number


def _is_read_from_any_offset(run: Run, name: str) -> Problems:
    world = run.sim.reader.world
    items = all_items(world, run.id, name)
    for after in range(0, len(items), 3):
        if all_items(world, run.id, name, after) != [item for item in items if item.offset > after]:
            yield f"{run.id}, {name}: is another stream when it is read after {after}"
