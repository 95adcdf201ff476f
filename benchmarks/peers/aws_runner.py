"""The AWS durable execution SDK on the runner of its testing package: in memory, or on the runner's SQLite."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aws_durable_execution_sdk_python.context import DurableContext, durable_step
from aws_durable_execution_sdk_python.execution import InvocationStatus, durable_execution
from aws_durable_execution_sdk_python_testing.runner import DurableFunctionTestRunner
from aws_durable_execution_sdk_python_testing.stores.memory import InMemoryExecutionStore
from aws_durable_execution_sdk_python_testing.stores.sqlite import SQLiteExecutionStore

from benchmarks.peers.workloads import Reached, Workload, answer


@durable_step
def step(_: Any, number: int) -> int:
    return number


@durable_execution
def flow(event: dict[str, Any], context: DurableContext) -> int:
    count = event["count"]
    match event["kind"]:
        case "sequence":
            for number in range(count):
                context.step(step(number))
        case "fan_out":
            context.parallel([lambda branch, number=number: branch.step(step(number)) for number in range(count)])
        case "resumes":
            for number in range(count):
                callback = context.create_callback(f"go-{number}")
                reached(number, callback.callback_id)
                callback.result()
    return count


reached: Reached


class Runner:
    def __init__(self, runner: DurableFunctionTestRunner) -> None:
        self._runner = runner
        self._threads = ThreadPoolExecutor(250)  # each run that is waited for holds one

    async def prepare(self, workload: Workload) -> None:
        await self.run("warm-up", workload.short())

    async def run(self, run_id: str, workload: Workload) -> None:
        global reached
        reached = Reached()
        given = json.dumps({"kind": workload.kind, "count": workload.count})
        arn = await self._in_thread(lambda: self._runner.run_async(input=given, execution_name=run_id))
        if workload.kind == "resumes":
            await reached.drive(workload.count, self._succeed)
        result = await self._in_thread(lambda: self._runner.wait_for_result(arn, timeout=600))
        assert result.status is InvocationStatus.SUCCEEDED, result.error

    async def _succeed(self, callback_id: str) -> None:
        await self._in_thread(lambda: self._runner.send_callback_success(callback_id, b'"go"'))

    async def _in_thread(self, function: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)


@asynccontextmanager
async def opened(folder: Path, variant: str) -> AsyncIterator[Runner]:
    logging.disable(logging.WARNING)
    in_file = variant == "SQLite"
    store = SQLiteExecutionStore.create_and_initialize(folder / "runs.db") if in_file else InMemoryExecutionStore()
    with DurableFunctionTestRunner(handler=flow, store=store, poll_interval=0.001) as runner:
        yield Runner(runner)


if __name__ == "__main__":
    answer(opened)
