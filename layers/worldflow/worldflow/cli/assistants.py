"""The command that serves coding assistants."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated

import typer

from worldflow.cli.common import Local, Modules, Stack, load, open_world
from worldflow.engine.errors import ConfigurationError


def mcp(
    workflows: Modules = "workflows",
    allow_writes: Annotated[
        bool,
        typer.Option("--allow-writes", help="Add the tools that start, signal, update, retry, fork and cancel runs."),
    ] = False,
    no_payloads: Annotated[
        bool,
        typer.Option("--no-payloads", help="Leave out the runs' data: inputs, results, messages of errors."),
    ] = False,
    http: Annotated[
        int | None,
        typer.Option("--http", metavar="PORT", min=1, max=65535, help="Serve HTTP on 127.0.0.1 in place of stdio."),
    ] = None,
    local: Local = None,
    stack: Stack = None,
) -> None:
    """Serve runs to coding assistants over the Model Context Protocol. Reads only, unless --allow-writes."""
    try:
        from worldflow.mcp.server import create_server
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "worldflow":
            raise
        raise ConfigurationError('mcp needs the extra of that name: pip install "worldflow[mcp]"') from None
    with contextlib.redirect_stdout(sys.stderr):  # stdout is the protocol's, also while modules are imported
        load(workflows)
    with open_world(local, stack, create=allow_writes) as world:
        server = create_server(world, allow_writes=allow_writes, payloads=not no_payloads)
        if http is None:
            server.run("stdio")
        else:
            typer.echo(f"Serving at http://127.0.0.1:{http}/mcp. Stop with Ctrl-C.", err=True)
            server.run("streamable-http", host="127.0.0.1", port=http)
