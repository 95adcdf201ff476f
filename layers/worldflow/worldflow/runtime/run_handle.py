"""One run, from outside: its status, its result, and what is sent to it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Concatenate, Generic, ParamSpec, Self

from typing_extensions import TypeForm, TypeVar

from worldflow.engine.durations import Duration, seconds, spoken
from worldflow.engine.history import Event, StreamItem, StreamReset
from worldflow.engine.history.state import RunState
from worldflow.engine.ids import generation, generation_id
from worldflow.engine.usage import Entry, total
from worldflow.runtime import queries, sending, starting, stream_urls, streams, updates
from worldflow.runtime.edits import Edit
from worldflow.runtime.outcomes import outcome
from worldflow.runtime.synchronous import Synchronous, wait_for, waiting
from worldflow.runtime.update_handle import (
    SyncUpdateHandle,
    UpdateHandle,
    accepted,
    answer_to,
    as_type,
    polls,
)
from worldflow.turns import generations
from worldflow.worlds import reading
from worldflow.worlds.base import World
from worldflow.worlds.records import RunRecord
from worldflow.worlds.streams import StreamReader

A = TypeVar("A")
P = ParamSpec("P")
T = TypeVar("T", default=Any)
V = TypeVar("V", default=Any)


class RunHandle(Generic[T]):
    """One run, from outside. `T` is the type of its result, where it is known."""

    def __init__(self, world: World, run_id: str) -> None:
        self.id = run_id
        self._world = world
        self._changed: Callable[[float], Awaitable[None]] = asyncio.sleep

    def __repr__(self) -> str:
        return f"<run {self.id}>"

    async def status(self) -> str:
        """`pending running completed failed cancelled continued` or `blocked`: of the newest generation.

        Raises `RunNotFoundError`.
        """
        return (await self.record()).status

    async def record(self) -> RunRecord:
        """The record of the newest generation: `status`, `status_text`, `attributes`, `input`, `result` and the rest.

        Raises `RunNotFoundError`.
        """

        def read_newest() -> RunRecord:
            record = self._world.read_run(self.id)
            newest = generations.newest_generation(self._world, record)
            return record if newest.run_id == record.run_id else self._world.read_run(newest.run_id)

        return await asyncio.to_thread(read_newest)

    async def result(self, timeout: Duration | None = None) -> T:
        """Waits for the run to end and returns the workflow's result: that of the newest generation with this id.

        timeout: maximum time to wait, after which it raises `TimeoutError`. Default: no limit.
        Raises `RunFailedError` with the workflow's exception as its cause, `RunCancelledError`, `RunBlockedError` for a
        run that waits for its code to be fixed, and `RunNotFoundError`.
        """
        record: RunRecord | None = None

        def problem(limit: str) -> str:
            said = f" ({record.status_text})" if record and record.status_text else ""
            now = f": it is still {record.status}{said}" if record else ""
            return f"run {self.id!r} has not ended within {limit}{now}"

        async with self._within(timeout, problem):
            pauses = polls()
            with self._world.changes(self.id) as self._changed:
                while True:
                    record = await self.record()
                    if record.ended or record.status == "blocked":
                        result: T = outcome(record)
                        return result
                    await self._pause(next(pauses))

    async def events(self, after: int = 0) -> list[Event]:
        """The history of this generation: the events after event number `after`."""
        return await self._world.load_events(self.id, after)

    async def usage(self) -> list[Entry]:
        """The tokens that steps have recorded with `record_usage`, one entry for each model: `model`, `input_tokens`,
        `output_tokens` and further counts. Empty where none were.

        Includes failed attempts, and the generations that follow this one. Children have their own.
        """

        def add_up() -> list[Entry]:
            first = reading.stored_run(self._world, self.id)
            last = generations.newest_generation(self._world, first).run_id
            following = [generation_id(base, number) for number in range(this, generation(last)[1] + 1)]
            return total(entry for run_id in following for entry in _usage(self._world, run_id))

        base, this = generation(self.id)
        return await asyncio.to_thread(add_up)

    async def signal(self, name: str, value: Any = None, *, signal_id: str | None = None) -> str:
        """Sends a signal; see `Orchestrator.signal`."""
        return await asyncio.to_thread(sending.signal, self._world, self.id, name, value, signal_id=signal_id)

    async def update(
        self,
        name: str,
        *args: Any,
        type: TypeForm[V] = Any,
        update_id: str | None = None,
        timeout: Duration | None = None,
    ) -> V:
        """Calls the workflow's handler for updates of this name (`@on_update`), and returns its answer.

        type: the type of the answer (anything that pydantic validates). Default: plain JSON.
        update_id: identifies the update: sent twice with the same id, it runs once and both calls get the same answer.
        timeout: maximum time to wait for the answer. The update stays pending: call again with its id for the answer.
        Raises what the handler raises, `InvalidInputError` for arguments that the handler does not accept,
        `RunEndedError` if the run ends without an answer, `RunNotFoundError`, and `TimeoutError`.
        """
        send = functools.partial(updates.send_update, self._world, self.id, name, args, update_id=update_id)
        return await answer_to(self, await asyncio.to_thread(send), name, type, timeout)

    async def start_update(
        self,
        name: str,
        *args: Any,
        type: TypeForm[V] = Any,
        update_id: str | None = None,
        timeout: Duration | None = None,
    ) -> UpdateHandle[V]:
        """Sends an update and returns as soon as the run has accepted it: it stands in the history, and is answered
        whatever becomes of this process. `await handle.result()` returns the answer.

        timeout: maximum time to wait for the run to accept it.
        Raises what the validator of the handler raises, and otherwise as `update` does.
        """
        send = functools.partial(updates.send_update, self._world, self.id, name, args, update_id=update_id)
        update = await asyncio.to_thread(send)
        await accepted(self, update, name, timeout)
        return UpdateHandle(self, update.run_id, update.fact_id.removeprefix("update/"), type)

    def update_handle(self, update_id: str, type: TypeForm[V] = Any) -> UpdateHandle[V]:
        """A handle on an update that was sent to this run, by its id."""
        return UpdateHandle(self, self.id, update_id, type)

    async def query(self, name: str, /, type: TypeForm[V] = Any, **arguments: Any) -> V:
        """The value that the workflow publishes under this name. Does not write, and does not affect the run.

            total = await run.query("total", Decimal, currency="EUR")

        type: the type of the value (anything that pydantic validates). Default: plain JSON.
        arguments: those of a published function, validated against its annotations.
        Replays the history in this process, so it needs the workflow's code. Raises `QueryNotFoundError`, what the
        function raises, and `InvalidInputError` for arguments that it does not accept.
        """
        value = await asyncio.to_thread(queries.query, self._world, self.id, name, arguments)
        return as_type(type, value, "the published value", name)

    async def wait_published(self, name: str, type: TypeForm[V] = Any, *, timeout: Duration | None = None) -> V:
        """Waits until the workflow publishes a value under this name, and returns it as `query` does.

        type: the type of the value (anything that pydantic validates). Default: plain JSON.
        timeout: maximum time to wait, after which it raises `TimeoutError`. Default: no limit.
        Looks from time to time, at least every two seconds, and replays the history here where it has grown. Raises
        `QueryNotFoundError` if the run ends without the value, `RunBlockedError`, and otherwise as `query` does.
        """

        def problem(limit: str) -> str:
            return f"run {self.id!r} has not published {name!r} within {limit}"

        awaited = queries.Awaited(self._world, self.id, name)
        async with self._within(timeout, problem):
            pauses = polls()
            while (told := await asyncio.to_thread(awaited.look)) is None:
                await self._pause(next(pauses), asyncio.sleep)
        if told.error is not None:
            raise told.error
        return as_type(type, told.value, "the published value", name)

    async def stream(
        self, name: str, type: TypeForm[V] = Any, *, after: int = 0
    ) -> AsyncGenerator[StreamItem[V] | StreamReset]:
        """Follows a stream of the run: what is there, and then what comes, until the stream is closed or the run ends.

            async for item in run.stream("answer", str):
                ...

        Yields a `StreamItem` for each value, and a `StreamReset` where values are void that came before it: a later
        attempt of their step begins anew. Works while the run is under way and afterwards, from any process.

        type: the type of the values (anything that pydantic validates). Default: plain JSON.
        after: the offset of the last item that was read: continues with the next.
        Raises `RunNotFoundError`, and `SerializationError` for a value that does not match the type.
        """
        reader = StreamReader(self._world, self.id, name, after)
        async with aclosing(streams.pages(self._world, reader, self._pause)) as found:
            async for item in streams.follow(found, type, name):
                yield item

    async def stream_url(self, name: str, expires: Duration = "1h") -> str:
        """A URL at which whoever has it can read this stream of the run, and nothing else.

        expires: how long it is good for, at most 366 days.
        It is beside the URL of webhooks, and signed with their keys. Raises `ConfigurationError` where there is none.
        """
        return await asyncio.to_thread(stream_urls.stream_url, self._world, self.id, name, expires)

    async def cancel(self, reason: str | None = None) -> None:
        """Cancels the run; see `Orchestrator.cancel`."""
        await asyncio.to_thread(sending.cancel, self._world, self.id, reason)

    async def pause(self, reason: str | None = None, *, by: str | None = None) -> None:
        """Pauses the run; see `Orchestrator.pause`."""
        await asyncio.to_thread(sending.pause, self._world, self.id, reason, by=by)

    async def unpause(self) -> None:
        """Lets a paused run continue; see `Orchestrator.unpause`."""
        await asyncio.to_thread(sending.unpause, self._world, self.id)

    async def wake(self, timer: str | None = None) -> int:
        """Ends the run's sleeps now, and returns how many; see `Orchestrator.wake`."""
        return await asyncio.to_thread(sending.wake, self._world, self.id, timer)

    async def terminate(self, reason: str | None = None) -> None:
        """Ends the run immediately; see `Orchestrator.terminate`."""
        await asyncio.to_thread(sending.terminate, self._world, self.id, reason)

    async def retry(self, *, input: Mapping[str, Any] | None = None) -> Self:
        """Retries a failed run, and returns this handle; see `Orchestrator.retry`."""
        await asyncio.to_thread(starting.retry, self._world, self.id, input)
        return self

    async def fork(self, new_run_id: str, *, after: int | None = None, edit: Edit | None = None) -> RunHandle[T]:
        """Starts a run that continues from the history of this generation; see `Orchestrator.fork`."""
        fork = functools.partial(starting.fork, self._world, self.id, new_run_id, after=after, edit=edit)
        await asyncio.to_thread(fork)
        return RunHandle(self._world, new_run_id)

    @asynccontextmanager
    async def _within(self, timeout: Duration | None, problem: Callable[[str], str]) -> AsyncIterator[None]:
        """A limit of time, if there is one, and what to say when it is over."""
        limit = None if timeout is None else seconds(timeout)
        try:
            async with asyncio.timeout(limit) as scope:
                yield
        except TimeoutError:
            if limit is None or not scope.expired():
                raise
            raise TimeoutError(problem(spoken(limit))) from None

    async def _pause(self, seconds: float, changed: Callable[[float], Awaitable[None]] | None = None) -> None:
        await (changed or self._changed)(seconds)


class SyncRunHandle(Synchronous[RunHandle[T]], Generic[T]):
    """One run, from outside, for code without asyncio: the calls of `RunHandle` wait. See `Orchestrator.sync`."""

    @property
    def id(self) -> str:
        return self._asynchronous.id

    status = waiting(RunHandle.status)
    record = waiting(RunHandle.record)
    result = waiting(RunHandle[T].result)
    events = waiting(RunHandle.events)
    usage = waiting(RunHandle.usage)
    signal = waiting(RunHandle.signal)
    stream_url = waiting(RunHandle.stream_url)
    cancel = waiting(RunHandle.cancel)
    terminate = waiting(RunHandle.terminate)
    wake = waiting(RunHandle.wake)
    pause = waiting(RunHandle.pause)
    unpause = waiting(RunHandle.unpause)

    def update(
        self,
        name: str,
        *args: Any,
        type: TypeForm[V] = Any,
        update_id: str | None = None,
        timeout: Duration | None = None,
    ) -> V:
        """Sends an update and waits for the answer; see `RunHandle.update`."""
        call = self._asynchronous.update(name, *args, type=type, update_id=update_id, timeout=timeout)
        return wait_for(call)

    def start_update(
        self,
        name: str,
        *args: Any,
        type: TypeForm[V] = Any,
        update_id: str | None = None,
        timeout: Duration | None = None,
    ) -> SyncUpdateHandle[V]:
        """Sends an update and returns when it is accepted; see `RunHandle.start_update`."""
        call = self._asynchronous.start_update(name, *args, type=type, update_id=update_id, timeout=timeout)
        return SyncUpdateHandle(wait_for(call))

    def update_handle(self, update_id: str, type: TypeForm[V] = Any) -> SyncUpdateHandle[V]:
        """A handle on an update that was sent to this run, by its id."""
        return SyncUpdateHandle(self._asynchronous.update_handle(update_id, type))

    def query(self, name: str, /, type: TypeForm[V] = Any, **arguments: Any) -> V:
        """The value that the workflow publishes under this name; see `RunHandle.query`."""
        return wait_for(self._asynchronous.query(name, type, **arguments))

    def wait_published(self, name: str, type: TypeForm[V] = Any, *, timeout: Duration | None = None) -> V:
        """Waits until the workflow publishes a value; see `RunHandle.wait_published`."""
        return wait_for(self._asynchronous.wait_published(name, type, timeout=timeout))

    def stream(self, name: str, type: TypeForm[V] = Any, *, after: int = 0) -> Iterator[StreamItem[V] | StreamReset]:
        """Follows a stream of the run; see `RunHandle.stream`."""
        items = self._asynchronous.stream(name, type, after=after)
        try:
            while (item := wait_for(_next(items))) is not None:
                yield item
        finally:
            wait_for(items.aclose())

    def retry(self, *, input: Mapping[str, Any] | None = None) -> Self:
        """Retries a failed run, and returns this handle; see `Orchestrator.retry`."""
        wait_for(self._asynchronous.retry(input=input))
        return self

    def fork(self, new_run_id: str, *, after: int | None = None, edit: Edit | None = None) -> SyncRunHandle[T]:
        """Starts a run that continues from the history of this generation; see `Orchestrator.fork`."""
        return SyncRunHandle(wait_for(self._asynchronous.fork(new_run_id, after=after, edit=edit)))


def waiting_for_run(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, RunHandle[T]]],
) -> Callable[Concatenate[Synchronous[A], P], SyncRunHandle[T]]:
    """As `waiting`, of a method that returns a handle."""

    @functools.wraps(method)
    def call(self: Synchronous[A], /, *args: P.args, **kwargs: P.kwargs) -> SyncRunHandle[T]:
        return SyncRunHandle(wait_for(method(self._asynchronous, *args, **kwargs)))

    return call


def _usage(world: World, run_id: str) -> list[Entry]:
    """The tokens of one generation. The record of one that has ended has them."""
    record = reading.find_run(world, run_id)
    if record is None or record.ended:
        return record.usage or [] if record else []
    return RunState(reading.find_history(world, run_id) or ()).usage.entries()


async def _next(items: AsyncIterator[V]) -> V | None:
    return await anext(items, None)
