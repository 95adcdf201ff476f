"""How quick a `LocalWorld` is on this machine's disk: `python -m benchmarks local`.

A file with one fsync a commit, a worker and its client in one process. Beside each row stands the disk's own floor:
as many SQLite commits, each with its fsync, as the row cannot do without. Times are medians, and good for comparing
with each other only.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import Section
from worldflow import step, wait_for_signal, workflow
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import Orchestrator
from worldflow.worker import Worker
from worldflow.worlds import LocalWorld

TIMES = 3
COMMAND = "python -m benchmarks local"
WHAT = (
    "A file with one fsync a commit, a worker and its client in one process. Beside it as many commits of SQLite, each "
    "with its fsync, as the row cannot do without: one for each step, or for each turn of several."
)


@step(name="local_step")
async def work(number: int) -> int:
    return number


@workflow(name="local_sequence")
async def sequence(count: int, inline: bool) -> int:
    one = work.options(inline=inline)
    for number in range(count):
        await one(number)
    return count


@workflow(name="local_fan_out")
async def fan_out(count: int, inline: bool) -> int:
    one = work.options(inline=inline)
    return len(await asyncio.gather(*(one(number) for number in range(count))))


@workflow(name="local_waits")
async def waits(count: int) -> int:
    for _ in range(count):
        await wait_for_signal("go")
    return count


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    name: str
    workflow: Workflow[..., Any]
    input: dict[str, Any]
    commits: int
    """That it cannot do without: a step, or a turn of several, is one."""
    runs: int = 1
    signals: int = 0


def rows() -> Iterable[Row]:
    for inline in (True, False):
        kind = "inline" if inline else "queued"
        for count in (10, 100, 1000):
            given = {"count": count, "inline": inline}
            yield Row(name=f"{count} {kind} steps, one after the other", workflow=sequence, input=given, commits=count)
        given = {"count": 100, "inline": inline}
        yield Row(name=f"100 {kind} steps at once", workflow=fan_out, input=given, commits=2)
        given = {"count": 5, "inline": inline}
        yield Row(name=f"200 runs of 5 {kind} steps", workflow=sequence, input=given, commits=1000, runs=200)
    yield Row(name="100 signals, one after the other", workflow=waits, input={"count": 100}, commits=200, signals=100)


async def measure(row: Row, path: Path) -> float:
    """Seconds."""
    with closing(LocalWorld(path)) as world:
        orchestrator = Orchestrator(world)
        async with Worker(world, concurrency=100):
            await _run(orchestrator, "warm-up", row)
            began = time.perf_counter()
            await asyncio.gather(*(_run(orchestrator, f"run-{number}", row) for number in range(row.runs)))
            return time.perf_counter() - began


async def _run(orchestrator: Orchestrator, run_id: str, row: Row) -> None:
    run = await orchestrator.start_workflow(run_id, row.workflow, row.input)
    for _ in range(row.signals):
        await run.signal("go")
    await run.result()


def floor(commits: int, path: Path) -> float:
    """Seconds that the disk needs for so many commits."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = full")
        db.execute("create table t (id integer primary key, text text)")
        began = time.perf_counter()
        for _ in range(commits):
            db.execute("insert into t (text) values (?)", ("x" * 200,))
        return time.perf_counter() - began


def median_of(times: int, function: Callable[[Path], float]) -> float:
    found = []
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            found.append(function(Path(folder) / "world.db"))
    return statistics.median(found)


def _synchronous(function: Callable[[Row, Path], Awaitable[float]], row: Row) -> Callable[[Path], float]:
    async def call(path: Path) -> float:
        return await function(row, path)

    return lambda path: asyncio.run(call(path))


def linear() -> Section:
    """Whether a run of ten times as many steps takes ten times as long."""
    short, long = (
        Row(
            name=f"{count:,} inline steps",
            workflow=sequence,
            input={"count": count, "inline": True},
            commits=count,
        )
        for count in (1_000, 10_000)
    )
    best = {row.name: (math.inf, math.inf) for row in (short, long)}
    for _ in range(TIMES):  # taking turns, so that a slow moment of the machine meets both
        for row in (short, long):
            began = time.process_time()
            took = median_of(1, _synchronous(measure, row))
            worked = (time.process_time() - began) / 2  # the warm-up is the same run
            best[row.name] = min(best[row.name][0], took), min(best[row.name][1], worked)
    ratios = [best[long.name][place] / best[short.name][place] for place in (0, 1)]
    return Section(
        title="A run that grows",
        command=COMMAND,
        how=f"As above, the best of {TIMES}. The ratio is {ratios[0]:.1f}, and {ratios[1]:.1f} of processor time.",
        columns=["one run of", "ms", "processor time, ms"],
        rows=[[name, f"{took * 1_000:,.0f}", f"{worked * 1_000:,.0f}"] for name, (took, worked) in best.items()],
    )


def sections() -> Iterator[Section]:
    found = []
    for row in rows():
        took = median_of(TIMES, _synchronous(measure, row))
        least = median_of(TIMES, lambda path, commits=row.commits: floor(commits, path))  # type: ignore[misc]
        found.append([row.name, f"{took * 1_000:.1f}", f"{least * 1_000:.1f}", f"{took / least:.1f}"])
    yield Section(
        title="LocalWorld",
        command=COMMAND,
        how=f"""{WHAT} Medians of {TIMES}.""",
        columns=["", "ms", "the disk alone, ms", "times the disk"],
        rows=found,
    )
    yield linear()
