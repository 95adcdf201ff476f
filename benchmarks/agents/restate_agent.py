"""Restate, on its server, with the `RestateAgent` of its SDK."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import restate
from hypercorn.asyncio import serve
from hypercorn.config import Config
from pydantic_ai import DeferredToolResults
from restate.ext.pydantic import RestateAgent

from benchmarks.agents import application
from benchmarks.agents.application import agents, text, watch
from benchmarks.agents.rows import NO, PARTLY, YES, answer

MODULES = Path(sys.executable).parents[1] / "node_modules"
SERVERS = list(MODULES.glob("@restatedev/restate-server-*/bin/restate-server"))

wrapped = agents(wrap=lambda agent: RestateAgent(agent, auto_wrap_tools=True))
by_hand = agents(wrap=RestateAgent)
"""Its tools are not steps: they run in the handler, and may call agents."""
seen: list[str] = []


async def to_a_list(context: Any, events: Any) -> None:
    async for event in events:
        seen.append(text(event))


streaming = RestateAgent(application.make_agent("streaming", list), event_stream_handler=to_a_list)

service = restate.Service("agents")


@service.handler("weather")
async def weather(context: restate.Context, kind: str) -> str:
    agent = wrapped.weather if kind == "wrapped" else by_hand.weather
    return str((await agent.run("The weather?")).output)


@service.handler("research")
async def research(context: restate.Context, kind: str) -> str:
    agent = wrapped.research if kind == "wrapped" else by_hand.research
    return str((await agent.run("The weather?")).output)


@service.handler("booking")
async def booking(context: restate.Context, kind: str) -> str:
    agent = wrapped.booking if kind == "wrapped" else by_hand.booking
    asked = await agent.run("Book a trip.")
    name, promise = context.awakeable(type_hint=bool)
    seen.append(name)
    verdict = await promise
    results = DeferredToolResults(approvals={call.tool_call_id: verdict for call in asked.output.approvals})
    done = await agent.run(message_history=asked.all_messages(), deferred_tool_results=results)
    return str(done.output)


@service.handler("streamed")
async def streamed(context: restate.Context, _: str) -> str:
    return str((await streaming.run("The weather?")).output)


@dataclass
class Server:
    client: aiohttp.ClientSession
    ingress: str
    admin: str

    async def call(self, handler: str, body: Any = "", path: str = "/agents") -> Any:
        async with self.client.post(f"{self.ingress}{path}/{handler}", json=body) as told:
            return await told.json() if told.status < 400 else f"{told.status}: {await told.text()}"

    async def query(self, sql: str) -> list[dict[str, Any]]:
        headers = {"accept": "application/json"}
        async with self.client.post(f"{self.admin}/query", json={"query": sql}, headers=headers) as told:
            return list((await told.json())["rows"])


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Server]:
    own, ingress, admin, node = (f"127.0.0.1:{port}" for port in _free_ports(4))
    config = Config()
    config.bind, config.loglevel = [own], "ERROR"
    ended = asyncio.Event()
    serving = asyncio.create_task(serve(restate.app([service]), config, shutdown_trigger=ended.wait))
    environment = {
        "RESTATE_BASE_DIR": str(folder),
        "RESTATE_INGRESS__BIND_ADDRESS": ingress,
        "RESTATE_ADMIN__BIND_ADDRESS": admin,
        "RESTATE_BIND_ADDRESS": node,
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_FILTER": "error",
        "DO_NOT_TRACK": "1",
    }
    server = await asyncio.create_subprocess_exec(SERVERS[0], env=os.environ | environment, stdout=2)
    try:
        async with aiohttp.ClientSession() as client:
            await _wait_for(client, f"http://{admin}/health")
            await _wait_for(client, f"http://{ingress}/restate/health")
            await client.post(f"http://{admin}/deployments", json={"uri": f"http://{own}"})
            yield Server(client, f"http://{ingress}", f"http://{admin}")
    finally:
        server.kill()
        await server.wait()
        ended.set()
        await serving


async def _wait_for(client: aiohttp.ClientSession, url: str) -> None:
    while True:
        with contextlib.suppress(aiohttp.ClientError):
            await client.get(url)
            return
        await asyncio.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports


async def parallel(folder: Path) -> tuple[str, str]:
    told = []
    async with served(folder) as server:
        for kind in ("wrapped", "by hand"):
            watch.most = 0
            await server.call("weather", kind)
            told.append(f"tools {kind}: {watch.most} of 5 at once")
    return (YES if "wrapped: 5" in told[0] else NO), "; ".join(told)


async def nested(folder: Path) -> tuple[str, str]:
    async with served(folder) as server:
        told = []
        for kind in ("wrapped", "by hand"):
            output = await _within(server, server.call("research", kind))
            entries = await server.query("SELECT name FROM sys_journal WHERE name LIKE 'Model%'")
            told.append(f"tools {kind}: {output}, {len(entries)} model requests in the journal")
            for invocation in await server.query("SELECT id FROM sys_invocation"):
                await server.client.patch(f"{server.admin}/invocations/{invocation['id']}/purge")
    return YES, "; ".join(told)


async def approval(folder: Path) -> tuple[str, str]:
    told = {}
    async with served(folder) as server:
        for kind in ("wrapped", "by hand"):
            seen.clear()
            call = asyncio.create_task(_within(server, server.call("booking", kind)))
            while not seen:
                await asyncio.sleep(0.05)
            await server.client.post(f"{server.ingress}/restate/awakeables/{seen[0]}/resolve", json=True)
            told[kind] = await call
    works = told["by hand"] == application.ANSWER
    return (YES if works else NO), "; ".join(f"tools {kind}: {output}" for kind, output in told.items())


async def _within(server: Server, call: Any) -> str:
    """What a handler answers, or the error that it is retried after."""
    try:
        async with asyncio.timeout(15):
            return str(await call)
    except TimeoutError:
        rows = await server.query("SELECT last_failure FROM sys_invocation WHERE last_failure IS NOT NULL")
        return f"retried without end after {str(rows[0]['last_failure']).splitlines()[0] if rows else 'no error'}"


async def stream(folder: Path) -> tuple[str, str]:
    async with served(folder) as server:
        output = await server.call("streamed")
    tokens = len([token for token in seen if token])
    return NO, f"{output!r}; an `event_stream_handler` saw {tokens} tokens, in the process of the service"


async def reconnect(folder: Path) -> tuple[str, str]:
    return NO, "nothing to read from: a store of your own has to be added, such as a virtual object"


async def retried(folder: Path) -> tuple[str, str]:
    return NO, "nothing to read from"


async def fork(folder: Path) -> tuple[str, str]:
    async with served(folder) as server:
        await server.call("weather", "wrapped")
        before = dict(watch.calls)
        (invocation,) = await server.query("SELECT id FROM sys_invocation WHERE target_handler_name = 'weather'")
        entries = await server.query(f"SELECT * FROM sys_journal WHERE id = '{invocation['id']}' ORDER BY index")
        models = [entry["index"] for entry in entries if "odel" in str(entry.get("name") or "")]
        application.style = "pirate"  # in the code: a restart takes no other input
        url = f"{server.admin}/invocations/{invocation['id']}/restart-as-new?from={models[1] - 1}"
        async with server.client.patch(url) as told:
            restarted = await told.json()
        if "new_invocation_id" not in restarted:
            return NO, f"{restarted}"
        url = f"{server.ingress}/restate/invocation/{restarted['new_invocation_id']}/attach"
        async with server.client.get(url) as told:
            output = await told.text()
    again = {name: count - before[name] for name, count in watch.calls.items() if count > before[name]}
    return PARTLY, f"{output}, called again: {again}; the other prompt has to be deployed as code"


if __name__ == "__main__":
    if not SERVERS:
        sys.exit("Restate's server is not installed, which needs npm")
    answer({f.__name__: f for f in (parallel, nested, approval, stream, reconnect, retried, fork)})
