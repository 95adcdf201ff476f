"""A bar on the terminal while something is done with many runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from worldflow.terminal import console


@contextmanager
def progress(total: int | None) -> Iterator[Callable[[], None]]:
    """Shows a bar, which is gone when this is left. Yields what moves it by one.

    total: how many there are; None where that is not known.
    """
    columns = (TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn(), TimeRemainingColumn())
    terminal = console(stderr=True)
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
        task = bar.add_task("runs", total=total)
        yield lambda: bar.advance(task)
