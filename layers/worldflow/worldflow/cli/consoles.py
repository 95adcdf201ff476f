"""The command that opens the console."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Annotated

import typer

from worldflow.cli.common import AsJson, Local, Modules, Stack, load, open_world, print_json
from worldflow.cli.http import listen, url_of
from worldflow.engine.errors import ConfigurationError


def ui(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0: one that is free.")] = 8080,
    read_only: Annotated[bool, typer.Option("--read-only", help="Show no actions, and refuse them.")] = False,
    payloads: Annotated[
        bool, typer.Option("--payloads/--no-payloads", help="Show the data of runs: inputs, results, values.")
    ] = True,
    workflows: Modules = "workflows",
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Open the console: what every run does, in a browser on this machine, until Ctrl-C."""
    try:
        from worldflow.console.server import HOST, server
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "worldflow":
            raise
        raise ConfigurationError('ui needs the extra of that name: pip install "worldflow[ui]"') from None
    load(workflows)
    with open_world(local, stack) as world, closing(listen(HOST, port)) as listening:
        url = url_of(listening)
        if as_json:
            print_json({"url": url})
        else:
            typer.echo(f"The console is at {url}. Stop with Ctrl-C.")
        asyncio.run(server(world, read_only=read_only, payloads=payloads).serve([listening]))
