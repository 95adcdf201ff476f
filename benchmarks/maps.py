"""How fast a large map is, and how much memory it takes: `python -m benchmarks maps`.

The items are the lines of a file, mapped in pages of a thousand on a `LocalWorld` in a file, by a worker and its client
in one process. Each measurement runs in a new process, and reports the peak memory of that process.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.results import Section
from worldflow import map_steps, step, workflow
from worldflow.runtime import Orchestrator
from worldflow.sources import S3Lines
from worldflow.worker import Worker
from worldflow.worlds import LocalWorld

COUNTS = (10_000, 100_000)
PAGE_SIZE = 1_000
COMMAND = "python -m benchmarks maps"


@step(name="maps_queued_step")
async def queued(order: dict[str, Any]) -> int:
    return int(order["number"])


@step(name="maps_inline_step", inline=True)
async def inline(order: dict[str, Any]) -> int:
    return int(order["number"])


@workflow(name="lines_in_pages")
async def lines_in_pages(url: str, is_inline: bool) -> int:
    one = inline if is_inline else queued
    return (await map_steps(one, S3Lines(url), page_size=PAGE_SIZE, concurrency=100)).succeeded


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    seconds: float
    worked: float
    """Seconds of processor time."""
    events: int
    """Of the run that maps."""
    commits: int
    """Of all runs."""
    peak: int
    """The most memory that the process had, in bytes."""
    size: int
    """Bytes of the file of the world."""


def measure(count: int, is_inline: bool) -> Measured:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        lines = Path(folder) / "orders.jsonl"
        with lines.open("w") as file:
            file.writelines(json.dumps({"number": n, "customer": f"customer-{n}"}) + "\n" for n in range(count))
        path = Path(folder) / "world.db"
        began = time.process_time()
        seconds, events = asyncio.run(_map(path, lines, count, is_inline))
        worked = time.process_time() - began
        with closing(sqlite3.connect(path)) as db:
            (commits,) = db.execute("select count(*) from commits").fetchone()
        return Measured(
            seconds=seconds,
            worked=worked,
            events=events,
            commits=commits,
            peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            size=path.stat().st_size,
        )


async def _map(path: Path, lines: Path, count: int, is_inline: bool) -> tuple[float, int]:
    with closing(LocalWorld(path)) as world:
        async with Worker(world, concurrency=100):
            began = time.perf_counter()
            run = await Orchestrator(world).start_workflow(
                "map", lines_in_pages, {"url": lines.as_uri(), "is_inline": is_inline}
            )
            if await run.result() != count:
                raise RuntimeError(f"{run}: not all items succeeded")
            return time.perf_counter() - began, len(world.load_history("map"))


def sections() -> Iterator[Section]:
    rows = []
    for is_inline in (True, False):
        for count in COUNTS:
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                found = process.submit(measure, count, is_inline).result()
            rows.append(
                [
                    f"{count:,} {'inline' if is_inline else 'queued'} steps",
                    f"{count / found.seconds:,.0f}",
                    f"{found.worked / count * 1e6:,.0f}",
                    f"{found.events:,}",
                    f"{found.commits / count:.2f}",
                    f"{found.peak / 1024**2:,.0f}",
                    f"{found.size / count / 1024:.2f}",
                ]
            )
    yield Section(
        title="A large map",
        command=COMMAND,
        how=f"""Lines of JSON in a file, mapped in pages of {PAGE_SIZE:,}, ten pages and a hundred items of each at a
        time, on a `LocalWorld` in a file with one fsync a commit, by a worker and its client in one process. Memory is
        the peak of that process.""".replace("\n        ", " "),
        columns=[
            "",
            "items a second",
            "processor time, µs an item",
            "events of the caller",
            "commits an item",
            "memory, MB",
            "file, KB an item",
        ],
        rows=rows,
    )
