"""The command that shows a run's streams."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

import typer

from worldflow.cli.common import AsJson, Local, Quiet, RunId, Stack, open_world, print_json
from worldflow.engine.history import StreamItem, StreamReset
from worldflow.presentation.streams import StreamText
from worldflow.runtime.sse import described
from worldflow.terminal import console
from worldflow.worlds import World, streams

_FIRST_POLL, _LONGEST_POLL = 0.05, 1.0


def stream(
    run_id: RunId,
    name: Annotated[str | None, typer.Argument(help="Name of the stream; default: list the run's streams.")] = None,
    after: Annotated[int, typer.Option(min=0, metavar="N", help="Skip everything up to offset N.")] = 0,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Show a run's stream as it is written, until it ends. With --json, print one item per line."""
    with open_world(local, stack) as world:
        if name is None:
            _list(world, run_id, as_json=as_json)
            return
        text = StreamText(console())
        last = after
        try:
            for item in _items(world, run_id, name, after):
                last = item.offset
                if as_json:
                    print_json(described(item))
                else:
                    text.show(item)
        except KeyboardInterrupt:
            text.close()
            typer.echo(f"Continue with --after {last}", err=True)
            raise
        text.close()
        if last == after and name not in (there := streams.names(world, run_id)):
            typer.echo(f"{run_id} has ended without a stream {name!r}; it has: {', '.join(there) or 'none'}", err=True)


def _list(world: World, run_id: str, *, as_json: bool) -> None:
    names = streams.names(world, run_id)
    if as_json:
        print_json({"streams": names})
    elif not names:
        typer.echo("No streams.", err=True)
    for name in [] if as_json else names:
        typer.echo(name)


def _items(world: World, run_id: str, name: str, after: int) -> Iterator[StreamItem | StreamReset]:
    """The items of a stream; and those to come, until it has ended."""
    reader, poll, quiet = streams.StreamReader(world, run_id, name, after), _FIRST_POLL, Quiet(world, run_id)
    is_over = False
    while True:
        items = reader.read()
        yield from items
        if items:
            poll = _FIRST_POLL
            quiet.end()
        elif is_over or reader.ended:
            return
        elif not (is_over := reader.is_over()):  # else what was written before the end may have come since
            quiet.goes_on()
            time.sleep(poll)
            poll = min(poll * 1.5, _LONGEST_POLL)
