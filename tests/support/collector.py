"""The garbage collector, at points that a test chooses, and what workflows leave to it.

A generator that is suspended in a reference cycle is closed when the collector comes to it, in whatever turn that is.
What it would decide then carries `LITTER`, and must be in no history.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from worldflow import (
    OutsideError,
    create_hook,
    patched,
    publish,
    random,
    set_attributes,
    set_status,
    sleep,
    step,
    uuid4,
)

LITTER = "what was left to the collector"


@step(name="generated.litter")
async def write_down(text: str) -> str:
    return text


def _decide(kind: str) -> None:
    match kind:
        case "status":
            set_status(LITTER)
        case "attributes":
            set_attributes(litter=LITTER)
        case "chance":
            random().random()
            uuid4()
        case "patched":
            patched(LITTER)
        case "hook":
            create_hook(metadata=LITTER)
        case "publish":
            publish("trace", LITTER)


def _lines(kind: str) -> Iterator[None]:
    try:
        while True:
            yield
    finally:
        with suppress(OutsideError):  # where no workflow is at work
            _decide(kind)


async def _async_lines(kind: str) -> AsyncIterator[None]:
    try:
        while True:
            yield
    finally:
        with suppress(OutsideError):
            match kind:
                case "step":
                    await write_down(LITTER)
                case "sleep":
                    await sleep(5)
                case _:
                    _decide(kind)


KINDS = ("status", "attributes", "chance", "patched", "hook", "publish")
ASYNC_KINDS = ("step", "sleep", *KINDS)
WAYS = ("generator", "context manager", "async generator", "async context manager")


async def leave(way: str, kind: str) -> None:
    """Leaves a suspended generator, of one of `WAYS`, to the collector."""
    last: BaseException | None = None
    match way:
        case "generator":
            lines = _lines(kind)
            next(lines)
        case "context manager":
            manager = contextmanager(_lines)(kind)
            manager.__enter__()
        case "async generator":
            async_lines = _async_lines(kind)
            await anext(async_lines)
        case "async context manager":
            async_manager = asynccontextmanager(_async_lines)(kind)
            await async_manager.__aenter__()
    try:
        raise LookupError
    except LookupError as error:
        last = error  # error -> traceback -> frame -> last: a cycle
    assert last


@contextmanager
def collections(wanted: Callable[[], bool]) -> Iterator[Callable[[], None]]:
    """Keeps the collector from its work. What it gives lets it work where `wanted` says so; so does the end."""
    was_enabled = gc.isenabled()
    gc.disable()
    gc.freeze()  # what others have made is none of its business, and takes it long

    def moment() -> None:
        if wanted():
            gc.collect()

    try:
        yield moment
    finally:
        gc.collect()
        gc.unfreeze()
        if was_enabled:
            gc.enable()
