"""Shows what a run did, as `python -m worldflow events` and `status` do."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from rich.console import Console

from worldflow.engine.history import Event
from worldflow.presentation import EventLines, is_internal, timeline


def show(demo: Callable[[], Coroutine[Any, Any, list[Event]]]) -> None:
    """Runs a demo, and prints the history of its run and the timeline."""
    logging.getLogger("worldflow").setLevel(logging.ERROR)  # attempts that fail are shown below
    events = asyncio.run(demo())
    console, lines = Console(highlight=False, soft_wrap=True), EventLines()
    for event in events:
        line = lines.line(event)
        if not is_internal(event):
            console.print(line)
    console.print()
    Console(highlight=False, width=120).print(timeline(events))
