"""Worldflow on a LocalWorld: a file with one fsync a commit, a worker and its client in this process.

The workflows are those of `benchmarks/local.py`; only what is resumed tells how far it is, as everywhere here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from benchmarks.local import fan_out, sequence
from benchmarks.peers.workloads import Reached, Workload, answer
from worldflow import wait_for_signal, workflow
from worldflow.engine.workflow.execution import Execution
from worldflow.runtime import Orchestrator
from worldflow.worker import Worker
from worldflow.worlds import LocalWorld


@workflow(name="bench_resumes")
async def resumes(count: int) -> int:
    for number in range(count):
        reached(number)
        await wait_for_signal("go")
    return count


WORKFLOWS = {"sequence": sequence, "fan_out": fan_out}
reached: Reached


class Local:
    def __init__(self, world: LocalWorld, inline: bool) -> None:
        self._world = world
        self._orchestrator = Orchestrator(world)
        self._inline = inline

    async def prepare(self, workload: Workload) -> None:
        if workload.kind == "replay":
            await self._finish("recorded", workload)
            await self.run("warm-up", workload)
        else:
            await self.run("warm-up", workload.short())

    async def run(self, run_id: str, workload: Workload) -> None:
        global reached
        if workload.kind == "replay":
            await asyncio.to_thread(self._replay)
        elif workload.kind == "resumes":
            reached = Reached()
            run = await self._orchestrator.start_workflow(run_id, resumes, {"count": workload.count})
            await reached.drive(workload.count, lambda _: run.signal("go"))
            await run.result()
        else:
            await self._finish(run_id, workload)

    async def _finish(self, run_id: str, workload: Workload) -> None:
        given = {"count": workload.count, "inline": self._inline}
        flow = WORKFLOWS.get(workload.kind, sequence)
        await (await self._orchestrator.start_workflow(run_id, flow, given)).result()

    def _replay(self) -> None:
        """What a process without the run in its memory does: reads the history from the file, and goes through it."""
        execution = Execution("recorded", sequence)
        execution.replay(self._world.load_history("recorded"))
        execution.dispose()


@asynccontextmanager
async def opened(folder: Path, variant: str) -> AsyncIterator[Local]:
    with closing(LocalWorld(folder / "world.db")) as world:
        async with Worker(world, concurrency=100):
            yield Local(world, inline=variant == "inline")


if __name__ == "__main__":
    answer(opened)
