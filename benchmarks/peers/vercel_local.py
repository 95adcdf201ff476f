"""Vercel's workflows for Python on their local world: files in a folder, and the queue that is in the same process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from vercel.workflow import HookNotFoundError, start

from benchmarks.peers.workloads import Workload, answer

ASKED_EVERY = 0.002  # seconds; waiting for a run's value asks for it once a second


class Vercel:
    def __init__(self, flows: Any) -> None:
        self._flows = flows

    async def prepare(self, workload: Workload) -> None:
        await self.run("warm-up", workload.short())

    async def run(self, run_id: str, workload: Workload) -> None:
        run = await start(self._flows.WORKFLOWS[workload.kind], workload.count)
        if workload.kind == "resumes":
            for number in range(workload.count):
                await self._resume(self._flows.Go(number), f"{workload.count}-{number}")
        while await run.status() not in ("completed", "failed", "cancelled"):
            await asyncio.sleep(ASKED_EVERY * workload.runs)
        await run.return_value()

    async def _resume(self, hook: Any, token: str) -> None:
        while True:
            try:
                await hook.resume(token)
                return
            except HookNotFoundError:
                await asyncio.sleep(ASKED_EVERY)


@asynccontextmanager
async def opened(folder: Path, variant: str) -> AsyncIterator[Vercel]:
    os.environ |= {"WORKFLOW_TARGET_WORLD": "local", "WORKFLOW_LOCAL_DATA_DIR": str(folder)}
    # Only now: the world is made by the first module that has workflows.
    yield Vercel(import_module("benchmarks.peers.vercel_flows"))


if __name__ == "__main__":
    answer(opened)
