"""Following a stream, from any process, while its run is under way and afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from typing_extensions import TypeForm, TypeVar

from worldflow.engine.history import StreamItem, StreamReset
from worldflow.engine.values.serialization import Codec
from worldflow.engine.workflow.inbox import read
from worldflow.worlds import streams
from worldflow.worlds.base import World
from worldflow.worlds.streams import Item, StreamPage, StreamReader

V = TypeVar("V", default=Any)

_FIRST_POLL = 0.05
_LONGEST_POLL = 1.0

_END_EVERY = 1.0
"""Seconds between two looks at whether the run has ended, in a World that does not announce it."""

Pause = Callable[[float, Callable[[float], Awaitable[None]]], Awaitable[None]]
"""Waits for some seconds, or for what the second argument waits for."""


async def wait(seconds: float, changed: Callable[[float], Awaitable[None]]) -> None:
    await changed(seconds)


async def pages(world: World, reader: StreamReader, pause: Pause = wait) -> AsyncGenerator[list[Item]]:
    """What a stream has and gets, page by page, until it ends. Raises `RunNotFoundError`."""
    announces = type(world).changes is not World.changes
    poll, asked_at, is_over = _FIRST_POLL, float("-inf"), False
    with world.changes(reader.key) as changed:
        while True:
            before = reader.after
            items = await asyncio.to_thread(reader.read)
            if items:
                yield items
            if reader.ended:
                return
            if reader.after > before:
                poll = _FIRST_POLL
                continue
            if is_over:
                return
            if announces or time.monotonic() - asked_at >= _END_EVERY:
                asked_at, is_over = time.monotonic(), await asyncio.to_thread(reader.is_over)
            if not is_over:  # else what was written before the end is read, which may have come meanwhile
                await pause(poll, changed)
                poll = min(poll * 1.5, _LONGEST_POLL)


async def follow(
    found: AsyncIterator[list[Item]], type: TypeForm[V], name: str
) -> AsyncIterator[StreamItem[V] | StreamReset]:
    """The items of pages, with values of this type. Raises `SerializationError`."""
    codec = None if type is Any else Codec(type, name)
    async for items in found:
        for item in items:
            if codec is None or isinstance(item, StreamReset):
                yield item
            else:
                yield replace(item, value=read(codec, item.value, "the value", name))


async def read_page(world: World, run_id: str, name: str, after: int, wait_seconds: float) -> StreamPage:
    """The next page of a stream. Waits so long at most for there to be something."""
    if wait_seconds <= 0:
        return await asyncio.to_thread(streams.read, world, run_id, name, after)
    reader = StreamReader(world, run_id, name, after)
    try:
        async with asyncio.timeout(wait_seconds), aclosing(pages(world, reader)) as found:
            async for items in found:
                return StreamPage(items, reader.after, reader.ended)
    except TimeoutError:
        return StreamPage([], reader.after, False)
    return StreamPage([], reader.after, True)
