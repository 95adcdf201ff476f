"""Streams, as the code of workflows and steps writes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from typing_extensions import TypeForm

from worldflow.engine.errors import OutsideError, UnsupportedOperationError
from worldflow.engine.here import running_loop
from worldflow.engine.ids import check_name
from worldflow.engine.values.serialization import Codec
from worldflow.engine.workflow.execution import Execution
from worldflow.engine.workflow.outlets import Outlet
from worldflow.engine.workflow.step_info import current_step

T = TypeVar("T")


class Stream(Generic[T]):
    """A stream of the run, to write to. Made by `open_stream`."""

    def __init__(self, name: str, codec: Codec, outlet: Outlet) -> None:
        self.name = name
        self._codec = codec
        self._outlet = outlet

    def __repr__(self) -> str:
        return f"<stream {self.name!r}>"

    @property
    def written(self) -> int:
        """How many values of earlier attempts of this step stand: 0 unless the stream was opened with `resume=True`.
        Known once the block of the stream is entered.
        """
        return self._outlet.written

    def write(self, value: T) -> Awaitable[None]:
        """Writes a value. It is taken at once: await the result only to wait while readers could not keep up.

        Raises `SerializationError` for a value that does not match the type, `StreamLimitError` for one of more than
        400 KB, `StreamClosedError`, and in a step that has been replaced by a later attempt `asyncio.CancelledError`.
        """
        return self._outlet.put(self._codec.encode(value))

    def close(self) -> Awaitable[None]:
        """Says that nothing more will be written: readers end. Without it, they end when the run does."""
        return self._outlet.close()

    async def __aenter__(self) -> Self:
        await self._finished(self._outlet.begin())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Waits until everything is written. After an error, that is seen to when the step ends."""
        if error is None:
            await self._finished(self._outlet.flush())

    def __enter__(self) -> Self:
        if running_loop() is None and asyncio._get_running_loop() is not None:
            raise UnsupportedOperationError(f"the stream {self.name!r} would block the event loop: use 'async with'")
        if writing := self._outlet.begin():
            writing.result()
        self._outlet.check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            if writing := self._outlet.flush():
                writing.result()
            self._outlet.check()

    async def _finished(self, writing: Future[None] | None) -> None:
        if writing:
            await asyncio.shield(asyncio.wrap_future(writing))
        self._outlet.check()


def open_stream(name: str, type: TypeForm[T] = Any, *, resume: bool = False) -> Stream[T]:
    """Opens a stream of the run, which readers follow with `run.stream(name)`.

        async with open_stream("answer", str) as out:
            async for token in model(question):
                await out.write(token)

    In a step, what is written can be read while the step runs. In a plain `def` step, write `with`. Leaving the block
    flushes the stream and does not close it: other steps may go on writing. In a workflow, each write is a decision,
    and is written exactly once.

    type: the type of the values (anything that pydantic validates). Default: plain JSON.
    resume: in a step that is tried again, goes on after what earlier attempts wrote: `written` says how many values
        that are. Default: readers are told that those are void.
    Raises `OutsideError` outside a workflow and a step, and `InvalidInputError` for an invalid name.
    """
    check_name(name, "stream")
    codec = Codec(type, name)
    if (loop := running_loop()) is not None:
        run: Execution = loop.host
        return Stream(name, codec, run.streams.open(name))
    try:
        info = current_step.get()
    except LookupError:
        raise OutsideError("open_stream() only works inside a workflow, or inside a step that one called") from None
    return Stream(name, codec, info._open(name, resume))
