"""DBOS on SQLite, with Pydantic AI's `DBOSDurability`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dbos import DBOS, SetWorkflowID
from pydantic_ai import DeferredToolResults
from pydantic_ai.durable_exec.dbos import DBOSDurability, StepConfig

from benchmarks.agents import application
from benchmarks.agents.application import agents, make_agent, text, watch
from benchmarks.agents.rows import NO, PARTLY, YES, answer

RETRIED = StepConfig(retries_allowed=True, interval_seconds=0.1, max_attempts=3)


async def to_stream(context: Any, events: Any) -> None:
    async for event in events:
        if token := text(event):
            await DBOS.write_stream_async("answer", token)


plain = agents(lambda: [DBOSDurability()], tool=DBOS.step())
streaming = make_agent("streaming", lambda: [DBOSDurability(event_stream_handler=to_stream, model_step_config=RETRIED)])


@DBOS.workflow()
async def weather() -> str:
    return str((await plain.weather.run("The weather?")).output)


@DBOS.workflow()
async def research() -> str:
    return str((await plain.research.run("The weather?")).output)


@DBOS.workflow()
async def booking() -> str:
    asked = await plain.booking.run("Book a trip.")
    verdict = await DBOS.recv_async("approval", timeout_seconds=3 * 86_400)
    results = DeferredToolResults(approvals={call.tool_call_id: verdict for call in asked.output.approvals})
    return str((await plain.booking.run(message_history=asked.all_messages(), deferred_tool_results=results)).output)


@DBOS.workflow()
async def streamed() -> str:
    return str((await streaming.run("The weather?")).output)


@asynccontextmanager
async def launched(folder: Path) -> AsyncIterator[None]:
    DBOS(config={"name": "agents", "system_database_url": f"sqlite:///{folder}/dbos.sqlite", "run_admin_server": False})
    DBOS.launch()
    try:
        yield
    finally:
        DBOS.destroy()


async def parallel(folder: Path) -> tuple[str, str]:
    async with launched(folder):
        await weather()
    return YES if watch.most == 5 else NO, f"{watch.most} of 5 tools at once"


async def nested(folder: Path) -> tuple[str, str]:
    async with launched(folder):
        with SetWorkflowID("run"):
            handle = await DBOS.start_workflow_async(research)
        output = await handle.get_result()
        steps = [step["function_name"] for step in await DBOS.list_workflow_steps_async("run")]
    durable = [name for name in steps if name.startswith("expert")]
    return (YES if durable else PARTLY), f"{output!r}; steps of the inner agent: {durable}"


async def approval(folder: Path) -> tuple[str, str]:
    async with launched(folder):
        with SetWorkflowID("run"):
            await DBOS.start_workflow_async(booking)
        await asyncio.sleep(2)
    async with launched(folder):  # as in another process, later: the workflow is recovered when DBOS is launched
        handle = await DBOS.retrieve_workflow_async("run")
        await DBOS.send_async("run", True, "approval")
        output = await handle.get_result()
    return YES, f"{output!r}; booked {watch.calls.get('book', 0)} time(s); goes on when a process of yours is there"


async def stream(folder: Path) -> tuple[str, str]:
    async with launched(folder):
        with SetWorkflowID("run"):
            handle = await DBOS.start_workflow_async(streamed)
        first, tokens = 0.0, []
        async for token in DBOS.read_stream_async("run", "answer"):
            first = first or time.monotonic()
            tokens.append(token)
        await handle.get_result()
    ahead = watch.model_ended - first
    return (YES if ahead > 0.2 else NO), f"the first of {len(tokens)} tokens {ahead:.1f} s before the last was made"


async def reconnect(folder: Path) -> tuple[str, str]:
    async with launched(folder):
        with SetWorkflowID("run"):
            handle = await DBOS.start_workflow_async(streamed)
        read = []
        async for token in DBOS.read_stream_async("run", "answer"):
            read.append(token)
            if len(read) == 4:
                break
        await handle.get_result()
        async for token in DBOS.read_stream_async("run", "answer", offset=len(read)):
            read.append(token)
    return (YES if "".join(read) == application.ANSWER else NO), f"{''.join(read)!r}, read in two parts"


async def retried(folder: Path) -> tuple[str, str]:
    application.fails_once = True
    async with launched(folder):
        with SetWorkflowID("run"):
            handle = await DBOS.start_workflow_async(streamed)
        read = "".join([token async for token in DBOS.read_stream_async("run", "answer")])
        output = await handle.get_result()
    return (YES if read == output else NO), f"read {read!r}, where the answer is {output!r}"


async def fork(folder: Path) -> tuple[str, str]:
    async with launched(folder):
        with SetWorkflowID("run"):
            handle = await DBOS.start_workflow_async(weather)
        await handle.get_result()
        before = dict(watch.calls)
        steps = await DBOS.list_workflow_steps_async("run")
        second = [step["function_id"] for step in steps if "model" in step["function_name"]][1]
        application.style = "pirate"  # in the code: a fork takes no other arguments
        forked = await DBOS.fork_workflow_async("run", second)
        output = await forked.get_result()
    again = {name: count - before[name] for name, count in watch.calls.items() if count > before[name]}
    return PARTLY, f"{output!r}, called again: {again}; the other prompt has to be deployed as code"


if __name__ == "__main__":
    answer({f.__name__: f for f in (parallel, nested, approval, stream, reconnect, retried, fork)})
