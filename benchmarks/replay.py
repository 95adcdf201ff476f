"""How quick a replay is: `python -m benchmarks replay`.

A history of steps one after the other is read from a `LocalWorld` and replayed, as a process does that does not hold
the run: a cold turn. A warm one is the same turn of a process that holds it.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator

from benchmarks.results import Section
from worldflow import step, workflow
from worldflow.engine.history import RunStarted, StepCompleted, StepScheduled
from worldflow.runtime import starting
from worldflow.turns.turns import Turns
from worldflow.worlds import LocalWorld
from worldflow.worlds.messages import FactArrived, Start

EVENTS = (100, 1_000, 10_000, 50_000)
TIMES = 5
WARM_TURNS = 200
LIMIT = 10 * EVENTS[-1]
COMMAND = "python -m benchmarks replay"


@step(name="replay_step")
async def work(number: int) -> int:
    return number


@workflow(name="replay_sequence")
async def sequence(count: int) -> int:
    for number in range(count):
        await work(number)
    return count


def prepared(events: int) -> LocalWorld:
    """A World with a run of so many events, written as its turns would have."""
    world = LocalWorld()
    starting.start(world, "run", sequence, {"count": events})
    at = world.now()
    commits = [[RunStarted(run_id="run", workflow_name=sequence.name, created_at=at, input={"count": events})]]
    for number in range(events // 2):
        scheduled = StepScheduled(step_id=f"s{number + 1}", name=work.name, input={"number": number})
        commits[-1].append(scheduled)  # type: ignore[arg-type]
        commits.append([StepCompleted(step_id=f"s{number + 1}", result=number)])  # type: ignore[list-item]
    seq = 0
    with world.together():
        for commit in commits[:-1]:
            recorded = [event.recorded(seq + place, at) for place, event in enumerate(commit, 1)]
            world.append("run", recorded)
            seq += len(recorded)
    return world


def cold(events: int) -> tuple[float, float]:
    """Events a second of a cold turn (the best of some), and the bytes that the live execution keeps afterwards."""
    world = prepared(events)
    took = []
    for _ in range(TIMES):
        turns = Turns(world, history_limit=LIMIT)
        took.append(_cpu(lambda turns=turns: turns.take("run", [Start(run_id="run")])))  # type: ignore[misc]
        turns.close()
    gc.collect()
    tracemalloc.start()
    turns = Turns(world, history_limit=LIMIT)
    before = tracemalloc.get_traced_memory()[0]
    turns.take("run", [Start(run_id="run")])
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    turns.close()
    world.close()
    return events / min(took), kept


def warm(events: int) -> float:
    """Seconds of processor time of a turn that takes a step's result and asks for the next step."""
    world = prepared(events)
    turns = Turns(world, history_limit=LIMIT)
    turns.take("run", [Start(run_id="run")])
    first, took = events // 2, []
    for number in range(first, first + WARM_TURNS):
        fact = StepCompleted(step_id=f"s{number}", result=number)
        took.append(_cpu(lambda fact=fact: turns.take("run", [FactArrived(run_id="run", fact=fact)])))  # type: ignore[misc]
    turns.close()
    world.close()
    return statistics.median(took)


def _cpu(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began


def awaits() -> float:
    """Awaits a second of asyncio alone, each with a turn of its loop."""

    async def wait(count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    return 100_000 / min(_cpu(lambda: asyncio.run(wait(100_000))) for _ in range(TIMES))


def sections() -> Iterator[Section]:
    rows = []
    for events in EVENTS:
        rate, kept = cold(events)
        rows.append([f"{events:,} events", f"{rate:,.0f}", f"{warm(events) * 1e6:,.0f}", f"{kept / 1024:,.0f}"])
    yield Section(
        title="Replay",
        command=COMMAND,
        how=(
            "Processor time of one core. Cold: the history is read from SQLite, projected and replayed, in "
            f"the best of {TIMES} turns. Warm: the median of {WARM_TURNS} turns that commit to memory. Memory: what "
            f"Python has allocated for the live execution when the turn is over. For comparison: asyncio alone does "
            f"{awaits():,.0f} awaits a second here."
        ),
        columns=["a run of", "cold: events a second", "warm: µs a turn", "live: KB"],
        rows=rows,
    )
