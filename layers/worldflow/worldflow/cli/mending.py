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
    discard: Annotated[bool, typer.Option("--discard", help="Delete what is no message of Worldflow's.")] = False,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Put all dead letters back into their queues, and resume every blocked run, after a fault is fixed."""
    with open_world(local, stack) as world:
        assert isinstance(world, Redrives)
        blocked = [record.run_id for record in world.walk_runs("blocked")]
        redriven = world.redrive(discard=discard)
        for start in range(0, len(blocked), _BATCH):
            world.send([Poke(run_id=run_id) for run_id in blocked[start : start + _BATCH]])
    if as_json:
        print_json({**asdict(redriven), "resumed": blocked})
        return
    typer.echo(f"Dead letters put back: {redriven.moved}. Blocked runs resumed: {len(blocked)}.")
    if redriven.unreadable:
        fate = "deleted" if discard else "left (--discard deletes them)"
        typer.echo(f"No messages of ours, and {fate}: {redriven.unreadable}.")
    if redriven.in_flight:
        typer.echo(f"Being tried right now: {redriven.in_flight}. What fails is there again in some 90 seconds.")
