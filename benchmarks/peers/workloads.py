"""What every program beside this file is asked to do, and how it answers. It needs nothing but the standard library.

A program opens its system in an empty folder, prepares it (a shorter run of the same kind, so that what is loaded late
is there), measures the one row that it is asked for, and prints it as a line of JSON:
`{"row": ..., "ms": ..., "began": ..., "ended": ...}`, the last two in seconds of the clock, so that what a tracer of
system calls has noted between them can be told to be the row's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    name: str
    kind: Literal["sequence", "fan_out", "resumes", "replay"]
    count: int
    """Of steps, or of waits, in each run."""
    runs: int = 1
    """Started at once."""
    commits: int = 0
    """That no system can do without which keeps each step, signal or turn before it goes on."""

    def short(self) -> Workload:
        return replace(self, count=min(self.count, 10))


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(name="10 steps", kind="sequence", count=10, commits=10),
        Workload(name="100 steps", kind="sequence", count=100, commits=100),
        Workload(name="1,000 steps", kind="sequence", count=1000, commits=1000),
        Workload(name="100 at once", kind="fan_out", count=100, commits=2),
        Workload(name="200 runs of 5", kind="sequence", count=5, runs=200, commits=1000),
        Workload(name="100 resumes", kind="resumes", count=100, commits=200),
        Workload(name="replay of 1,000", kind="replay", count=1000),
    )
}
RUNNING = tuple(name for name, workload in WORKLOADS.items() if workload.kind != "replay")
REPLAYING = tuple(name for name, workload in WORKLOADS.items() if workload.kind == "replay")


class Peer(Protocol):
    async def prepare(self, workload: Workload) -> None:
        """All that is not measured."""

    async def run(self, run_id: str, workload: Workload) -> None:
        """Starts one run, and returns when its result is there."""


class Reached:
    """How far the code of a run has come, told to whoever drives it.

    The run tells it by a call before each wait, in whichever thread it is, and tells it again when it is replayed. So
    the driver sends what is waited for when the run does wait, which no system could know without asking.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._most = -1
        self._told: Any = None
        self._changed = asyncio.Event()

    def __call__(self, number: int, told: Any = None) -> None:
        self._loop.call_soon_threadsafe(self._set, number, told)

    def _set(self, number: int, told: Any) -> None:
        if number > self._most:
            self._most, self._told = number, told
            self._changed.set()

    async def drive(self, count: int, send: Callable[[Any], Awaitable[Any]]) -> None:
        """Calls `send` once for each wait, with what the run has told."""
        for number in range(count):
            while self._most < number:
                self._changed.clear()
                await self._changed.wait()
            await send(self._told)


Open = Callable[[Path, str], AbstractAsyncContextManager[Peer]]


async def _measure(open_peer: Open, variant: str, workload: Workload) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as folder:
        async with open_peer(Path(folder), variant) as peer:
            await peer.prepare(workload)
            began, clock = time.perf_counter(), time.time()
            await asyncio.gather(*(peer.run(f"run-{number}", workload) for number in range(workload.runs)))
            took = time.perf_counter() - began
            return {"row": workload.name, "ms": took * 1_000, "began": clock, "ended": clock + took}


def answer(open_peer: Open, arguments: Iterable[str] | None = None) -> None:
    """What a program's `main` is. Standard output is for the answer alone: what a system prints goes to the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("row", choices=tuple(WORKLOADS))
    parser.add_argument("--variant", default="")
    given = parser.parse_args(None if arguments is None else list(arguments))
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        found = asyncio.run(_measure(open_peer, given.variant, WORKLOADS[given.row]))
    print(json.dumps(found), file=answers, flush=True)
