"""What a workflow receives under a name, in order, and the calls that wait for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Generic, TypeVar

from worldflow.engine.unawaited import Made
from worldflow.engine.workflow.awaitables import Call
from worldflow.engine.workflow.loop import WorkflowLoop

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Each item goes to one receiver, in order; what nobody waits for is kept."""

    def __init__(self, loop: WorkflowLoop) -> None:
        self._loop = loop
        self._items: deque[T] = deque()
        self._waiters: deque[asyncio.Future[T]] = deque()
        self._error: BaseException | None = None

    def put(self, item: T) -> None:
        while self._waiters:
            future = self._waiters.popleft()
            if not future.done():
                future.set_result(item)
                return
        self._items.append(item)

    def close(self, error: BaseException) -> None:
        """Nothing comes any more: receivers get what is there, and then `error`."""
        self._error = error
        while self._waiters:
            future = self._waiters.popleft()
            if not future.done():
                future.set_exception(error)

    @property
    def error(self) -> BaseException | None:
        """What receivers get when nothing is left."""
        return self._error

    def unread(self) -> list[T]:
        """What nobody has received, in order."""
        return list(self._items)

    def is_awaited(self) -> bool:
        """Whether a receiver waits for the next item."""
        return any(not waiter.done() for waiter in self._waiters)

    async def get(self) -> T:
        self._loop.check_open()
        if self._items:
            return self._items.popleft()
        if self._error:
            raise self._error
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiters.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                # It came while the await was being cancelled: it stays first in line.
                self._items.appendleft(future.result())
            else:
                with contextlib.suppress(ValueError):
                    self._waiters.remove(future)
            raise


class Receive(Call[T]):
    """What gives the next item when it is awaited, and one after the other in an `async for`."""

    __slots__ = ("_receive",)

    def __init__(
        self,
        receive: Callable[[], Coroutine[Any, Any, T]],
        loop: WorkflowLoop,
        origin: Made | None = None,
    ) -> None:
        super().__init__(receive(), loop, origin)
        self._receive = receive

    async def __aiter__(self) -> AsyncIterator[T]:
        self.close()
        while True:
            yield await self._receive()
