"""The command that serves the HTTP API of a LocalWorld file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal as signals
import socket
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from worldflow.cli.common import AsJson, Local, Modules, Stack, open_world, print_json
from worldflow.cli.serving import failing_in_a_line, prepare, tracing
from worldflow.engine.errors import ConfigurationError
from worldflow.serving.http.hosts import is_loopback
from worldflow.serving.worker import Worker
from worldflow.turns.steps import log_what_is_left
from worldflow.worlds.local.world import LocalWorld

VARIABLE = "WORLDFLOW_API_TOKEN"
SHORTEST_TOKEN = 20

_PATIENCE = 25
"""Seconds for requests in progress when the server ends: more than an update waits."""


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0: one that is free.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            envvar="WORLDFLOW_API_TOKEN_FILE",
            help=f"File with the bearer token that requests must carry; default: the token in {VARIABLE}.",
            dir_okay=False,
        ),
    ] = None,
    worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Serve the runs too, unless another worker does (default).")
    ] = True,
    concurrency: Annotated[int, typer.Option(min=1, help="Maximum number of concurrent steps.")] = 10,
    otlp: Annotated[
        str | None,
        typer.Option("--otlp", metavar="URL", help="Send spans to this OpenTelemetry collector (OTLP over HTTP)."),
    ] = None,
    workflows: Modules = "workflows",
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Serve the HTTP API of a LocalWorld file, with /metrics and a worker, until Ctrl-C."""
    if local is None:
        whose = f"stack {stack!r} has" if stack else "a stack has"
        raise ConfigurationError(f"{whose} its own API; name a LocalWorld file with --local FILE")
    token = _read_token(token_file)
    if token is None and not is_loopback(host):
        raise ConfigurationError(
            f"other machines can reach {host}: set a token in {VARIABLE}, or in a file named with --token-file"
        )
    _check_extra()
    prepare(context, workflows)
    with tracing(otlp) as observer, closing(listen(host, port)) as listening:
        url = url_of(listening)
        with open_world(local, create=True, webhook_url=f"{url}/webhooks") as world:
            assert isinstance(world, LocalWorld)
            if as_json:
                print_json({"local": str(local), "url": url})
            else:
                typer.echo(f"Serving {local} at {url}. Stop with Ctrl-C.")
            own = Worker(world, concurrency=concurrency, standby=True, observer=observer) if worker else None
            asyncio.run(_serve(world, token, listening, own))


def _read_token(file: Path | None) -> str | None:
    try:
        token = file.read_text().strip() if file else os.environ.get(VARIABLE)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the token cannot be read from {file}: {error}") from None
    if token is None:
        return None
    if len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        rule = f"must have at least {SHORTEST_TOKEN} ASCII characters and no spaces"
        raise ConfigurationError(f"the token in {file or VARIABLE} {rule}")
    return token


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises `ConfigurationError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error
        raise ConfigurationError(f"cannot listen at {host}, port {port}: {reason}") from None


def url_of(listening: socket.socket) -> str:
    """Where requests to a listening socket go."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _check_extra() -> None:
    try:
        import uvicorn  # noqa: F401

        import worldflow.serving.http.application  # noqa: F401
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "worldflow":
            raise
        raise ConfigurationError('serve needs the extra of that name: pip install "worldflow[serve]"') from None


async def _serve(world: LocalWorld, token: str | None, listening: socket.socket, worker: Worker | None) -> None:
    import uvicorn

    from worldflow.serving.http.application import create_application

    asyncio.get_running_loop().set_exception_handler(log_what_is_left)
    for number in (signals.SIGINT, signals.SIGTERM):
        signals.signal(number, lambda *_: None)  # Uvicorn ends by them, and raises them again when it has
    application = create_application(world, token)

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            application.state.followers.end()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        application,
        lifespan="off",
        ws="none",
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_PATIENCE,
    )
    with failing_in_a_line():
        async with worker or contextlib.nullcontext():
            await Server(config).serve(sockets=[listening])
