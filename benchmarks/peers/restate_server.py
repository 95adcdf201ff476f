"""Restate: its server on a disk, and its Python SDK served by hypercorn in this process, which is the client too."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import restate
from hypercorn.asyncio import serve
from hypercorn.config import Config

from benchmarks.peers.systems import INSTALLED
from benchmarks.peers.workloads import Reached, Workload, answer

# The server itself, and not npm's script that starts it: the server would outlive that.
SERVERS = list(INSTALLED.glob("node_modules/@restatedev/restate-server-*/bin/restate-server"))

bench = restate.Service("bench")


async def step(number: int) -> int:
    return number


@bench.handler("sequence")
async def sequence(context: restate.Context, count: int) -> int:
    for number in range(count):
        await context.run_typed("step", step, number=number)
    return count


@bench.handler("fan_out")
async def fan_out(context: restate.Context, count: int) -> int:
    futures = [context.run_typed("step", step, number=number) for number in range(count)]
    await restate.gather(*futures)
    return count


@bench.handler("resumes")
async def resumes(context: restate.Context, count: int) -> int:
    for number in range(count):
        awakeable, promise = context.awakeable(type_hint=str)
        reached(number, awakeable)
        await promise
    return count


reached: Reached


class Restate:
    def __init__(self, client: aiohttp.ClientSession, ingress: str) -> None:
        self._client = client
        self._ingress = ingress

    async def prepare(self, workload: Workload) -> None:
        await self.run("warm-up", workload.short())

    async def run(self, run_id: str, workload: Workload) -> None:
        global reached
        reached = Reached()
        call = self._post(f"/bench/{workload.kind}", workload.count)
        if workload.kind != "resumes":
            await call
            return
        async with asyncio.TaskGroup() as both:
            both.create_task(call)
            await reached.drive(workload.count, lambda name: self._post(f"/restate/awakeables/{name}/resolve", "go"))

    async def _post(self, path: str, body: object) -> None:
        async with self._client.post(self._ingress + path, json=body) as answer:
            await answer.read()


@asynccontextmanager
async def opened(folder: Path, variant: str) -> AsyncIterator[Restate]:
    service, ingress, admin, node = (f"127.0.0.1:{port}" for port in _free_ports(4))
    config = Config()
    config.bind = [service]
    config.loglevel = "ERROR"
    ended = asyncio.Event()
    serving = asyncio.create_task(serve(restate.app([bench]), config, shutdown_trigger=ended.wait))
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
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, raise_for_status=True) as client:
            await _wait_for(client, f"http://{admin}/health")
            await _wait_for(client, f"http://{ingress}/restate/health")
            await client.post(f"http://{admin}/deployments", json={"uri": f"http://{service}"})
            yield Restate(client, f"http://{ingress}")
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


if __name__ == "__main__":
    if not SERVERS:
        sys.exit("Restate's server is not installed, which needs npm")
    answer(opened)
