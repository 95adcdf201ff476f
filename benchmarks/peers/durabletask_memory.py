"""durabletask on its in-memory backend: backend, worker and client in this process, gRPC between them."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from durabletask.client import AsyncTaskHubGrpcClient
from durabletask.task import ActivityContext, OrchestrationContext, when_all
from durabletask.testing import create_test_backend
from durabletask.worker import TaskHubGrpcWorker

from benchmarks.peers.workloads import Reached, Workload, answer


def step(_: ActivityContext, number: int) -> int:
    return number


def sequence(context: OrchestrationContext, count: int) -> Generator[Any, Any, int]:
    for number in range(count):
        yield context.call_activity(step, input=number)
    return count


def fan_out(context: OrchestrationContext, count: int) -> Generator[Any, Any, int]:
    yield when_all([context.call_activity(step, input=number) for number in range(count)])
    return count


def resumes(context: OrchestrationContext, count: int) -> Generator[Any, Any, int]:
    for number in range(count):
        waiting = context.wait_for_external_event("go")
        reached(number)
        yield waiting
    return count


WORKFLOWS = {"sequence": sequence, "fan_out": fan_out, "resumes": resumes}
reached: Reached


class DurableTask:
    def __init__(self, client: AsyncTaskHubGrpcClient) -> None:
        self._client = client

    async def prepare(self, workload: Workload) -> None:
        await self.run("warm-up", workload.short())

    async def run(self, run_id: str, workload: Workload) -> None:
        global reached
        reached = Reached()
        run_id = await self._client.schedule_new_orchestration(
            WORKFLOWS[workload.kind], input=workload.count, instance_id=run_id
        )
        if workload.kind == "resumes":
            await reached.drive(workload.count, lambda _: self._client.raise_orchestration_event(run_id, "go"))
        state = await self._client.wait_for_orchestration_completion(run_id, timeout=600)
        assert state is not None
        state.raise_if_failed()


@asynccontextmanager
async def opened(folder: Path, variant: str) -> AsyncIterator[DurableTask]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    quiet = logging.getLogger("quiet")
    quiet.setLevel(logging.ERROR)
    backend = create_test_backend(port=port, max_history_size=1_000_000)
    worker = TaskHubGrpcWorker(host_address=f"localhost:{port}", logger=quiet, emit_trace_spans=False)
    for flow in WORKFLOWS.values():
        worker.add_orchestrator(flow)
    worker.add_activity(step)
    worker.start()
    client = AsyncTaskHubGrpcClient(host_address=f"localhost:{port}", logger=quiet, emit_trace_spans=False)
    try:
        async with client:
            yield DurableTask(client)
    finally:
        worker.stop()
        backend.stop()


if __name__ == "__main__":
    answer(opened)
