"""Worldflow on a LocalWorld file, with its `Durable`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic_ai import AgentStreamEvent, DeferredToolResults

from benchmarks.agents import application
from benchmarks.agents.application import agents, make_agent, text, watch
from benchmarks.agents.rows import MARKED, NO, YES, answer
from worldflow import StreamItem, StreamReset, wait_for_signal, workflow
from worldflow.ai.pydantic import Durable
from worldflow.runtime import Orchestrator
from worldflow.worker import Worker
from worldflow.worlds import LocalWorld

durable = agents(lambda: [Durable()])
in_workflow = make_agent("in_workflow", lambda: [Durable()])


@in_workflow.tool_plain(metadata={"worldflow": False})  # runs in the workflow, and not in a step
async def ask_expert(question: str) -> str:
    return str((await durable.expert.run(question)).output)


streaming = make_agent("streaming", lambda: [Durable(stream="answer")])


@workflow
async def weather() -> str:
    return str((await durable.weather.run("The weather?")).output)


@workflow
async def research(name: str) -> str:
    agent = in_workflow if name == "in_workflow" else durable.research
    return str((await agent.run("The weather?")).output)


@workflow
async def booking() -> str:
    asked = await durable.booking.run("Book a trip.")
    verdict = await wait_for_signal("approval", bool)
    results = DeferredToolResults(approvals={call.tool_call_id: verdict for call in asked.output.approvals})
    done = await durable.booking.run(message_history=asked.all_messages(), deferred_tool_results=results)
    return str(done.output)


@workflow
async def streamed() -> str:
    return str((await streaming.run("The weather?")).output)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Orchestrator]:
    world = LocalWorld(folder / "runs.db")
    try:
        async with Worker(world):
            yield Orchestrator(world)
    finally:
        world.close()


async def parallel(folder: Path) -> tuple[str, str]:
    async with served(folder) as orchestrator:
        await (await orchestrator.start_workflow("run", weather)).result()
    return (YES if watch.most == 5 else NO), f"{watch.most} of 5 tools at once"


async def nested(folder: Path) -> tuple[str, str]:
    async with served(folder) as orchestrator:
        inner = {}
        for name in ("research", "in_workflow"):
            run = await orchestrator.start_workflow(name, research, {"name": name})
            await run.result()
            steps = [event.payload["name"] for event in await run.events() if event.event_type == "StepScheduled"]
            inner[name] = steps.count("expert.model")
    seen = f"model requests of the inner agent that are durable: {inner['research']}"
    return MARKED, f"{seen}; {inner['in_workflow']} if the tool is marked to run in the workflow"


async def approval(folder: Path) -> tuple[str, str]:
    async with served(folder) as orchestrator:
        await orchestrator.start_workflow("run", booking)
        await asyncio.sleep(2)
    orchestrator = Orchestrator(world := LocalWorld(folder / "runs.db"))
    await orchestrator.signal("run", "approval", True)  # while no worker lives
    world.close()
    async with served(folder) as orchestrator:
        output = await orchestrator.run("run").result()
    return YES, f"{output!r}; booked {watch.calls.get('book', 0)} time(s); on AWS nothing lives meanwhile"


async def stream(folder: Path) -> tuple[str, str]:
    async with served(folder) as orchestrator:
        run = await orchestrator.start_workflow("run", streamed)
        first, tokens = 0.0, []
        async for item in run.stream("answer", AgentStreamEvent):
            if token := _text(item):
                first = first or time.monotonic()
                tokens.append(token)
    ahead = watch.model_ended - first
    return (YES if ahead > 0.2 else NO), f"the first of {len(tokens)} tokens {ahead:.1f} s before the last was made"


async def reconnect(folder: Path) -> tuple[str, str]:
    async with served(folder) as orchestrator:
        run = await orchestrator.start_workflow("run", streamed)
        read: list[Any] = []
        async for item in run.stream("answer", AgentStreamEvent):
            read.append(item)
            if len("".join(map(_text, read)).split()) == 4:
                break
        read += [item async for item in run.stream("answer", AgentStreamEvent, after=read[-1].offset)]
        await run.result()
        late = "".join([_text(item) async for item in run.stream("answer", AgentStreamEvent)])
        events = len(await run.events())
    whole = "".join(map(_text, read)) == late == application.ANSWER
    return (YES if whole else NO), f"{late!r}, read in two parts, and again after the end; {events} events"


def _text(item: Any) -> str:
    return text(item.value) if isinstance(item, StreamItem) else ""


async def retried(folder: Path) -> tuple[str, str]:
    application.fails_once = True
    async with served(folder) as orchestrator:
        run = await orchestrator.start_workflow("run", streamed)
        read, resets = "", 0
        async for item in run.stream("answer", AgentStreamEvent):
            if isinstance(item, StreamReset):
                read, resets = "", resets + 1
            read += _text(item)
        output = await run.result()
    return (YES if read == output and resets else NO), f"read {read!r}, after {resets} reset"


async def fork(folder: Path) -> tuple[str, str]:
    async with served(folder) as orchestrator:
        run = await orchestrator.start_workflow("run", weather)
        await run.result()
        before = dict(watch.calls)
        events = [event for event in await run.events() if event.event_type == "StepScheduled"]
        request = events[-1]
        other = json.loads(json.dumps(request.payload["input"]).replace("Style: plain", "Style: pirate"))
        forked = await orchestrator.fork("run", "forked", edit={request.seq: other})
        output = await forked.result()
    again = {name: count - before[name] for name, count in watch.calls.items() if count > before[name]}
    return (YES if again == {"model": 1} else NO), f"{output!r}, called again: {again}; the code is the same"


if __name__ == "__main__":
    answer({f.__name__: f for f in (parallel, nested, approval, stream, reconnect, retried, fork)})
