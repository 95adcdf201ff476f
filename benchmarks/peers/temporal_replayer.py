"""Temporal's `Replayer`, on a history made by hand: a server is not needed to replay, and not started."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity, workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from benchmarks.peers.workloads import Workload, answer


@activity.defn
async def step(number: int) -> int:
    return number


@workflow.defn
class Sequence:
    @workflow.run
    async def run(self, count: int) -> int:
        for number in range(count):
            await workflow.execute_activity(step, number, start_to_close_timeout=timedelta(minutes=1))
        return count


def history(count: int) -> WorkflowHistory:
    events = [
        {"eventId": str(number), "eventTime": f"2026-01-01T00:{number // 60_000:02}:{number / 1_000 % 60:06.3f}Z"}
        | event
        for number, event in enumerate(_events(count), 1)
    ]
    return WorkflowHistory.from_json("recorded", {"events": events})


def _events(count: int) -> Iterator[dict[str, Any]]:
    queue = {"name": "bench"}
    yield _event(
        "WORKFLOW_EXECUTION_STARTED",
        workflowType={"name": "Sequence"},
        taskQueue=queue,
        input=_payloads(count),
        originalExecutionRunId="6f1f0a1e-0000-4000-8000-000000000000",
    )
    so_far = 1
    for number in range(count):
        yield from _turn(so_far, queue)
        so_far += 3
        yield _event(
            "ACTIVITY_TASK_SCHEDULED",
            activityId=str(number + 1),
            activityType={"name": "step"},
            taskQueue=queue,
            input=_payloads(number),
            workflowTaskCompletedEventId=str(so_far),
        )
        scheduled = str(so_far + 1)
        yield _event("ACTIVITY_TASK_STARTED", scheduledEventId=scheduled, attempt=1)
        yield _event(
            "ACTIVITY_TASK_COMPLETED",
            scheduledEventId=scheduled,
            startedEventId=str(so_far + 2),
            result=_payloads(number),
        )
        so_far += 3
    yield from _turn(so_far, queue)
    yield _event("WORKFLOW_EXECUTION_COMPLETED", result=_payloads(count), workflowTaskCompletedEventId=str(so_far + 3))


def _turn(so_far: int, queue: dict[str, str]) -> Iterator[dict[str, Any]]:
    scheduled, started = str(so_far + 1), str(so_far + 2)
    yield _event("WORKFLOW_TASK_SCHEDULED", taskQueue=queue, attempt=1)
    yield _event("WORKFLOW_TASK_STARTED", scheduledEventId=scheduled)
    yield _event("WORKFLOW_TASK_COMPLETED", scheduledEventId=scheduled, startedEventId=started)


def _event(kind: str, **attributes: Any) -> dict[str, Any]:
    first, *rest = kind.lower().split("_")
    name = first + "".join(word.title() for word in rest) + "EventAttributes"
    return {"eventType": f"EVENT_TYPE_{kind}", name: attributes}


def _payloads(value: int) -> dict[str, Any]:
    encoded = [base64.b64encode(data).decode() for data in (b"json/plain", str(value).encode())]
    return {"payloads": [{"metadata": {"encoding": encoded[0]}, "data": encoded[1]}]}


class Temporal:
    async def prepare(self, workload: Workload) -> None:
        self._recorded = history(workload.short().count)
        await self.run("warm-up", workload)
        self._recorded = history(workload.count)

    async def run(self, run_id: str, workload: Workload) -> None:
        replayer = Replayer(workflows=[Sequence], workflow_runner=UnsandboxedWorkflowRunner())
        await replayer.replay_workflow(self._recorded)


@asynccontextmanager
async def opened(folder: Path, variant: str) -> AsyncIterator[Temporal]:
    yield Temporal()


if __name__ == "__main__":
    answer(opened)
