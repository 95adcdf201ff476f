"""The commands that ask something of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from worldflow.cli.common import AsJson, Local, RunId, open_world, print_json, read_json
from worldflow.runtime import requests


def signal(
    run_id: RunId,
    name: Annotated[str, typer.Argument(help="The signal's name.")],
    value: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE|-", help="Its value: JSON, a file of it, or stdin.")
    ] = None,
    local: Local = None,
    as_json: AsJson = False,
) -> None:
    """Send a signal to a run."""
    sent = read_json(value, "--value") if value is not None else None
    with open_world(local) as world:
        signal_id = requests.signal(world, run_id, name, sent)
    if as_json:
        print_json({"run_id": run_id, "signal_id": signal_id})
    else:
        typer.echo(f"Signal {name} is on its way to {run_id}.")


def cancel(
    run_id: RunId,
    reason: Annotated[str | None, typer.Option(help="Why; kept in the history.")] = None,
    local: Local = None,
    as_json: AsJson = False,
) -> None:
    """Ask a run to end. Its workflow sees asyncio.CancelledError where it waits."""
    with open_world(local) as world:
        requests.cancel(world, run_id, reason)
    if as_json:
        print_json({"run_id": run_id})
    else:
        typer.echo(f"{run_id} is asked to end.")
