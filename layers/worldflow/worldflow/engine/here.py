"""Which workflow runs in this thread, if one does.

What user code calls asks here on whose behalf it is called: a step that a workflow calls is scheduled, and elsewhere it
is just a function.

The garbage collector runs user code too: the `finally` of a generator that was left in a reference cycle. It may be of
any run, and the collector starts in whatever turn happens to be under way. So while it works in a thread, no workflow
runs there: `COLLECTOR` does, which raises `GeneratorExit` for everything it is asked, as a loop does during disposal.
What is collected decides nothing.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from asyncio import events
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol


class RunningLoop(Protocol):
    """The loop of a workflow, as far as those need it who ask which one runs."""

    host: Any
    """The run that it serves: an `Execution`, which is of a floor above."""
    closed: bool


class _Collector(asyncio.AbstractEventLoop):
    """In place of a loop, while the garbage collector runs code."""

    def __getattribute__(self, name: str) -> Any:
        if name == "create_task":
            return _create_no_task
        if name.startswith("__"):
            return super().__getattribute__(name)
        raise GeneratorExit


def _create_no_task(coro: Coroutine[Any, Any, Any], **_: Any) -> NoReturn:
    coro.close()
    raise GeneratorExit


COLLECTOR: Any = _Collector()  # type: ignore[abstract]


class _Here(threading.local):
    """asyncio knows the running loop too, and takes a system call to say so."""

    loop: RunningLoop | None = None
    suspended: RunningLoop | None = None
    """The loop that runs on when the collector has finished."""


_here = _Here()


def running_loop() -> RunningLoop | None:
    """The workflow loop that runs in this thread; `COLLECTOR` while the garbage collector does."""
    return _here.loop


def refuse_the_collector() -> None:
    """Raises `GeneratorExit` in what is collected."""
    if _here.loop is COLLECTOR:
        raise GeneratorExit


def is_of_a_workflow(loop: object) -> bool:
    """Whether what is collected belongs to a workflow, by the loop that it is bound to. What is bound to none yet may
    be anybody's: where a workflow is interrupted by the collector, it is taken for a workflow's.
    """
    if loop is None:
        return _here.suspended is not None
    return hasattr(loop, "unawaited")


def run_here(loop: RunningLoop | None) -> None:
    """Makes `loop` the one that runs in this thread."""
    _here.loop = loop


@contextmanager
def nobody_here() -> Iterator[None]:
    """Within it no workflow runs in this thread: for code of the user's that a replay does not run again."""
    loop, _here.loop = _here.loop, None
    outer = events._get_running_loop()
    events._set_running_loop(None)
    try:
        yield
    finally:
        events._set_running_loop(outer)
        _here.loop = loop


@contextmanager
def nothing_runs_but_the_collector() -> Iterator[None]:
    """Within it asyncio has no other loop either, such as the application's: for code that the collector runs."""
    outer = events._get_running_loop()
    events._set_running_loop(COLLECTOR)
    try:
        yield
    finally:
        events._set_running_loop(outer)


# What it uses are defaults: the last collections come when the globals of modules are gone already.
def _on_collection(
    phase: str,
    _: dict[str, int],
    here: Any = _here,
    collector: Any = COLLECTOR,
    set_running_loop: Any = events._set_running_loop,
) -> None:
    if phase == "start":
        here.suspended, here.loop = here.loop, collector
        if here.suspended is not None:
            set_running_loop(collector)
    elif here.loop is collector:
        here.loop, here.suspended = here.suspended, None
        if here.loop is not None:
            set_running_loop(here.loop)


gc.callbacks.append(_on_collection)
