"""Live executions are disposed of also where nobody closes what holds them. Otherwise the garbage collector, or the end
of the interpreter, would end their coroutines in any order, and in no context: libraries complain of that.
"""

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from tests.support.crashes import CrashingWorld
from tests.support.office import Office
from worldflow import sleep, workflow
from worldflow.turns.turns import Turns

ROOT = Path(__file__).parents[3]

span: ContextVar[str] = ContextVar("span", default="none")
left: list[asyncio.Task[Any] | None] = []


@contextmanager
def spanned() -> Iterator[None]:
    token = span.set("span")
    try:
        yield
    finally:
        left.append(asyncio.current_task())
        span.reset(token)


@workflow
async def naps_in_a_span() -> None:
    async def naps() -> None:
        with spanned():
            await sleep("1h")

    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(naps())


def test_by_the_garbage_collector(world: CrashingWorld) -> None:
    left.clear()
    turns = Turns(world)
    turns.take("run-1", [Office(world, naps_in_a_span).start()])
    cycle: list[Any] = [turns]
    cycle.append(cycle)
    del turns, cycle

    gc.collect()

    assert len(left) == 5
    assert None not in left


def test_at_the_end_of_the_interpreter() -> None:
    told = subprocess.run(
        [sys.executable, "-c", f"from {__spec__.name} import hold; hold()"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stderr == ""
    assert told.stdout == "left\n"


held: list[Any] = []


@workflow
async def reports_its_end() -> None:
    try:
        await sleep("1h")
    finally:
        import colorsys  # there are no imports any more when modules have lost their names

        assert colorsys
        print("left", flush=True)


def hold() -> None:
    world = CrashingWorld()
    turns = Turns(world)
    turns.take("run-1", [Office(world, reports_its_end).start()])
    held.append(turns)
