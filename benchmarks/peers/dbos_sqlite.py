"""DBOS on its SQLite, in one process.

Steps one after the other are functions, and not coroutines, which are slower here: DBOS runs each in a thread then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from dbos import DBOS, SetWorkflowID

from benchmarks.peers.workloads import Reached, Workload, answer

POLLED_EVERY = 0.001  # seconds, the least that it takes; its default is one second


@DBOS.step()
def step(number: int) -> int:
    return number


@DBOS.step()
async def step_of_many(number: int) -> int:
    return number


@DBOS.workflow()
def sequence(count: int) -> int:
    for number in range(count):
        step(number)
    return count


@DBOS.workflow()
async def fan_out(count: int) -> int:
    return len(await asyncio.gather(*(step_of_many(number) for number in range(count))))


@DBOS.workflow()
async def resumes(count: int) -> int:
    for number in range(count):
        reached(number)
        await DBOS.recv_async("go", timeout_seconds=60)
    return count


reached: Reached


class Dbos:
    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(200)

    async def prepare(self, workload: Workload) -> None:
        await self.run("warm-up", workload.short())

    async def run(self, run_id: str, workload: Workload) -> None:
        global reached
        match workload.kind:
            case "sequence":
                await asyncio.get_running_loop().run_in_executor(self._threads, _sequence, run_id, workload.count)
            case "fan_out":
                with SetWorkflowID(run_id):
                    await fan_out(workload.count)
            case "resumes":
                reached = Reached()
                with SetWorkflowID(run_id):
                    handle = await DBOS.start_workflow_async(resumes, workload.count)
                await reached.drive(workload.count, lambda _: DBOS.send_async(run_id, "go", "go"))
                await handle.get_result()


def _sequence(run_id: str, count: int) -> None:
    with SetWorkflowID(run_id):
        sequence(count)


@asynccontextmanager
async def opened(folder: Path, variant: str) -> AsyncIterator[Dbos]:
    DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{folder / 'dbos.sqlite'}",
            "notification_listener_polling_interval_sec": POLLED_EVERY,
            "log_level": "ERROR",
            "run_admin_server": False,
        }
    )
    DBOS.launch()
    try:
        yield Dbos()
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    answer(opened)
