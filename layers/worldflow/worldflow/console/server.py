"""The console behind uvicorn, on this machine only: in the process's own thread, or beside what it does."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import uvicorn

from worldflow.console.application import console
from worldflow.worlds.base import World

HOST = "127.0.0.1"

_PATIENCE = 2
"""Seconds for requests in progress when the console ends: pages that follow a run never end by themselves."""


def server(world: World, *, read_only: bool = False, payloads: bool = True) -> uvicorn.Server:
    """A server of the console, not started yet."""
    app = console(world, read_only=read_only, payloads=payloads, any_host=False)
    config = uvicorn.Config(
        app, lifespan="off", ws="none", log_config=None, server_header=False, timeout_graceful_shutdown=_PATIENCE
    )
    return uvicorn.Server(config)


@contextmanager
def beside(world: World, *, read_only: bool = False, payloads: bool = True) -> Iterator[str]:
    """Serves the console in a thread, at a free port. Yields its address."""
    serving = server(world, read_only=read_only, payloads=payloads)
    with closing(socket.create_server((HOST, 0))) as listening:
        thread = threading.Thread(target=lambda: asyncio.run(serving.serve([listening])), daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{listening.getsockname()[1]}"
        finally:
            serving.should_exit = True
            thread.join()
