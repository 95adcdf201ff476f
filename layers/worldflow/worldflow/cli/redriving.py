"""The command that sets going again what had come to a halt."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from worldflow.cli.common import (
    AsJson,
    Local,
    Stack,
    open_world,
    print_json,
)
from worldflow.worlds.base import Redrives
from worldflow.worlds.messages import Poke

_BATCH = 100


def redrive(
    discard: Annotated[
        bool, typer.Option("--discard", help="Delete dead letters that are not Worldflow messages.")
    ] = False,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Move all dead letters back to their queues, and resume every blocked run. Use it after fixing a fault."""
    with open_world(local, stack) as world:
        assert isinstance(world, Redrives)
        blocked = [record.run_id for record in world.walk_runs("blocked")]
        redriven = world.redrive(discard=discard)
        for start in range(0, len(blocked), _BATCH):
            world.send([Poke(run_id=run_id) for run_id in blocked[start : start + _BATCH]])
    if as_json:
        print_json({**asdict(redriven), "resumed": blocked})
        return
    typer.echo(f"Dead letters moved back: {redriven.moved}. Blocked runs resumed: {len(blocked)}.")
    if redriven.unreadable:
        fate = "deleted" if discard else "left in place (delete them with --discard)"
        typer.echo(f"Not Worldflow messages, {fate}: {redriven.unreadable}.")
    if redriven.in_flight:
        typer.echo(f"Being processed now: {redriven.in_flight}. Those that fail return within about 90 seconds.")
