"""The commands about limits: `python -m worldflow limits ...`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
from rich.table import Table

from worldflow import clock
from worldflow.cli.common import AsJson, Local, Stack, open_world, print_json
from worldflow.presentation.words import duration
from worldflow.runtime import limits as limits_of
from worldflow.runtime.limits import LimitStatus, PlaceAtLimit
from worldflow.terminal import application, console

limits = application("limits", "See who holds a place at a limit and who waits, and change limits at once.")

Name = Annotated[str, typer.Argument(metavar="LIMIT", help="The limit's name.")]
Key = Annotated[str | None, typer.Option(help="Only for this key. Default: for all keys.")]

_SHOWN = 20
"""Those that wait, of one limit and key, that are shown."""


@limits.command("list")
def list_(local: Local = None, stack: Stack = None, as_json: AsJson = False) -> None:
    """List all limits, with how many hold a place and how many wait."""
    with open_world(local, stack) as world:
        found = limits_of.list_limits(world)
    if as_json:
        print_json({"limits": [status.describe() for status in found]})
    elif found:
        console().print(_table(found))
    else:
        typer.echo("No limits: no call has asked for a place yet.", err=True)


@limits.command()
def show(name: Name, key: Key = None, local: Local = None, stack: Stack = None, as_json: AsJson = False) -> None:
    """Show who holds a place at a limit, and who waits in which order."""
    with open_world(local, stack) as world:
        found = limits_of.get_limit(world, name, key)
    _show(found, as_json, places=True)


@limits.command("set")
def set_(
    name: Name,
    concurrency: Annotated[int | None, typer.Option(min=0, help="How many may run at a time; 0 pauses.")] = None,
    rate: Annotated[str | None, typer.Option(help="How many may begin in a time, such as 500/1m.")] = None,
    burst: Annotated[int | None, typer.Option(min=1, help="How many may begin at once, with --rate.")] = None,
    key: Key = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Change a limit at once, until `limits reset`."""
    with open_world(local, stack) as world:
        found = limits_of.set_limit(world, name, concurrency=concurrency, rate=rate, burst=burst, key=key)
    _show(found, as_json)


@limits.command()
def reset(name: Name, key: Key = None, local: Local = None, stack: Stack = None, as_json: AsJson = False) -> None:
    """Let a limit be what the code says again."""
    with open_world(local, stack) as world:
        found = limits_of.set_limit(world, name, key=key, reset=True)
    _show(found, as_json)


def _show(found: Sequence[LimitStatus], as_json: bool, *, places: bool = False) -> None:
    if as_json:
        print_json({"limits": [status.describe() for status in found]})
        return
    console().print(_table(found))
    for status in found if places else ():
        if status.holders or status.waiting:
            console().print(_places(status))


def _table(found: Iterable[LimitStatus]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("limit", "key", "concurrency", "rate", "holding", "waiting"):
        table.add_column(column, overflow="fold")
    for one in found:
        changed = " (set)" if one.changed else ""
        concurrency = "" if one.concurrency is None else str(one.concurrency)
        rate = "" if one.rate is None else f"{one.rate}, burst {one.burst}" if one.burst != 1 else one.rate
        table.add_row(f"{one.name}{changed}", one.key, concurrency, rate, str(len(one.holders)), str(len(one.waiting)))
    return table


def _places(status: LimitStatus) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", title=status.key or None)
    for column in ("", "run", "step", "attempt", "for", "priority", "fairness"):
        table.add_column(column, overflow="fold")
    for place in status.holders:
        table.add_row("holds", *_row(place))
    for number, place in enumerate(status.waiting[:_SHOWN], 1):
        table.add_row(f"waits {number}", *_row(place))
    if len(status.waiting) > _SHOWN:
        table.add_row(f"{len(status.waiting) - _SHOWN} more wait")
    return table


def _row(place: PlaceAtLimit) -> tuple[str, ...]:
    attempt = "" if place.attempt is None else str(place.attempt)
    since = duration(clock.now() - place.since)
    return place.run_id, place.step_id or "", attempt, since, str(place.priority), place.fairness or ""
