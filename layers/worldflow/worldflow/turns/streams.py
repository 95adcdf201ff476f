"""What an attempt of a step writes to streams.

Values collect in an `Outlet`, and a thread writes them: the first at once, then those of 100 ms together, or of 16 KB.
So neither the step nor its event loop waits for the store, unless values come faster than they can be written.

An attempt may be replaced while it runs: it timed out, or its process was taken for dead. The one that replaces it is
known by its attempt, or, if it is another execution of the same attempt, by its id. Before it writes, it says so in the
stream where the earlier one has written. The earlier one is refused from then on: see `Writer.look`.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from worldflow.engine.errors import ConflictError, OutsideError, StepTimeoutError
from worldflow.engine.history import Json, StreamClosed, StreamRow, StreamRows, StreamRowsEnd, StreamTaken, dump_value
from worldflow.engine.ids import generation, stream_key
from worldflow.engine.workflow.outlets import DONE, STREAM_LIMIT, closed, full, size_of
from worldflow.worlds import ledger, streams
from worldflow.worlds.base import World
from worldflow.worlds.messages import StepTask

INTERVAL = 0.1
"""Seconds in which values collect."""

BATCH_BYTES = 16 * 1024
"""So many bytes do not wait for the rest of the time."""

BUFFER_BYTES = 256 * 1024
"""With more than this not written yet, the step waits."""

WANTED_EVERY = timedelta(seconds=5)
"""How often an attempt that writes asks whether it is still wanted."""

_LOOK_EVERY = 0.01
"""Seconds between two looks at whether there is room."""

REMEMBER_EVERY = 64
"""Commits after which the item of names learns how far the stream goes."""

_BATCH_VALUES = streams.COMMIT_VALUES - 2
"""A commit may begin with one mark, and end with another."""


class Replaced(asyncio.CancelledError):
    """A later attempt of the step has its streams, or a later execution of the same attempt."""

    def __init__(self, *, is_same_attempt: bool) -> None:
        super().__init__("another attempt of this step has replaced this one")
        self.is_same_attempt = is_same_attempt


class Writer:
    """Writes to one stream for one attempt. Not thread-safe."""

    def __init__(self, world: World, task: StepTask, name: str, execution: str, is_first: bool, resume: bool) -> None:
        self._world = world
        self._task = task
        self.name = name
        self._resume = resume
        self.is_first = is_first
        """No execution of the step can have begun before this one."""
        self._generation = generation(task.run_id)[1]
        origin = generation(task.origin)[1] if task.origin else self._generation
        self._step = (origin, task.step_id)
        self._header: dict[str, Any] = {
            "writer": execution,
            "step_id": task.step_id,
            "attempt": task.attempt,
            "generation": self._generation,
            "origin": origin if origin != self._generation else None,
        }
        self._turn = (self._generation, task.attempt)
        self._log = streams.Log(world, stream_key(task.run_id, name))
        self._opened = False
        self._has_written = False
        self._commits = 0
        self.written = 0
        """Values that earlier attempts wrote and that stand."""
        self._since: int | None = None
        """The first offset of the step's that is neither ours nor void."""
        self._asked_at: datetime | None = None

    def open(self) -> None:
        """Opens the stream. Raises `CancelledError` if a later attempt has done so before."""
        if self._opened:
            return
        self._check_wanted()
        execution = self._header["writer"]
        mark = None if self.is_first else f"{self._generation}.{self._task.attempt}.{execution}"
        place, latest = streams.register(self._world, self._task.run_id, self.name, self._step, mark)
        if self.is_first:
            if latest:
                raise Replaced(is_same_attempt=latest.startswith(f"{self._generation}.{self._task.attempt}."))
            self._log.go_to(place)
        else:
            self._look(self._log.catch_up())
            while self._since is not None and self._log.append([self._taken()]) is None:
                if self._look(self._log.catch_up()):
                    break  # ours: the client has made the request again whose answer was lost
            if self._since is not None:
                self._has_written, self._since = True, None
        self._opened = True

    def write(self, values: Sequence[Json], size: int, *, close: bool) -> None:
        """Writes values as one commit. Raises `StreamClosedError` and `StreamLimitError`, and `CancelledError` where
        the attempt has been replaced or is not wanted any more.
        """
        self.open()
        self._check_wanted()
        held = streams.encode(self._world, self._log.key, list(values)) if values else None
        while True:
            rows: list[StreamRows | StreamTaken | StreamClosed] = []
            if self._since is not None:
                rows.append(self._taken())
            elif self._log.closed and self._log.closed.generation >= self._generation:
                raise closed(self.name)
            if self._log.total + size > STREAM_LIMIT:
                raise full(self.name)
            if values:
                rows.append(StreamRows(values=held, count=len(values), total=size, **self._header))
            if close:
                rows.append(StreamClosed(**self._header))
            if self._log.append(rows) is not None:
                break
            if self._look(self._log.catch_up()):
                break  # ours, as above
        self._has_written, self._since = True, None
        self._commits += 1
        if close or self._commits % REMEMBER_EVERY == 0:
            streams.remember(self._world, self._task.run_id, self.name, self._log)

    def _taken(self) -> StreamTaken:
        goes_on = self._resume and self.written > 0
        return StreamTaken(since=None if goes_on else self._since, **self._header)

    def _look(self, rows: Sequence[StreamRow]) -> bool:
        """Looks at what others have written. Returns whether something of it is of this execution. Raises
        `CancelledError` if this one has been replaced.
        """
        ours = False
        for row in rows:
            if isinstance(row, StreamRowsEnd) or row.step != self._step:
                continue
            if row.writer == self._header["writer"]:
                ours = True
            elif self._is_replaced_by(row):
                raise Replaced(is_same_attempt=row.turn == self._turn)
            elif isinstance(row, StreamTaken) and row.since is not None:
                self._since, self.written = row.seq, 0
            else:
                self._since = row.seq if self._since is None else self._since
                if isinstance(row, StreamRows) and self._resume and not self._opened:
                    self.written += row.count
        return ours

    def _is_replaced_by(self, row: StreamRows | StreamTaken | StreamClosed) -> bool:
        """Whether the execution that wrote a row came after this one."""
        if row.turn != self._turn:
            return row.turn > self._turn
        # Another execution of the same attempt: what there was when this one opened the stream was before it.
        return self._opened and (self.is_first or self._has_written or isinstance(row, StreamTaken))

    def _check_wanted(self) -> None:
        """Raises `CancelledError` if nobody waits for the attempt any more, which is asked now and then."""
        task, now = self._task, self._world.now()
        if task.deadline and now >= task.deadline:
            raise asyncio.CancelledError("this attempt has taken longer than its timeout")
        if self._asked_at and now - self._asked_at >= WANTED_EVERY:
            self._asked_at = now
            if ledger.is_abandoned(self._world, task.run_id, task.step_id, task.attempt):
                raise asyncio.CancelledError("the workflow no longer needs this step")
        self._asked_at = self._asked_at or now


class Outlet:
    """One end of a stream, for one attempt. May be used from several threads."""

    def __init__(self, writer: Writer, threads: ThreadPoolExecutor) -> None:
        self._writer = writer
        self._threads = threads
        self._changed = threading.Condition()
        self._values: list[Json] = []
        self._size = 0
        """Bytes of the values that are not taken to be written yet."""
        self._is_closing = self._is_closed = False
        self._is_to_open = False
        self._hurries = False
        """What is there is written without waiting for more."""
        self._due = 0.0
        self._running: Future[None] | None = None
        """What writes, while there is something to write."""
        self.error: BaseException | None = None
        """Why nothing more can be written."""
        self.goes_on_elsewhere = False
        """Another execution of the same attempt has the stream."""

    @property
    def written(self) -> int:
        return self._writer.written

    def put(self, value: Json) -> Awaitable[None]:
        size = size_of(value, self._writer.name)
        with self._changed:
            self._check()
            self._values.append(value)
            self._size += size + 1
            self._run()
            if self._size <= BUFFER_BYTES:
                return DONE
            if asyncio._get_running_loop() is None:
                self._changed.wait_for(lambda: self._size <= BUFFER_BYTES or self.error is not None)
        return _Room(self)

    def close(self) -> Awaitable[None]:
        with self._changed:
            self._check()
            self._is_closing = self._is_closed = True
            self._run()
        return DONE

    def begin(self) -> Future[None] | None:
        if self._writer.is_first:
            return None
        with self._changed:
            self._is_to_open = True
            return self._run()

    def flush(self) -> Future[None] | None:
        with self._changed:
            self._hurries = True
            self._changed.notify_all()
            return self._running

    def check(self) -> None:
        with self._changed:
            if self.error is not None:
                raise self.error

    def end(self, error: BaseException) -> None:
        """Takes nothing more, and drops what is left: from now on each write raises this."""
        with self._changed:
            self.error = error if self.error is None else self.error
            self._values, self._size, self._is_closing = [], 0, False
            self._changed.notify_all()

    def has_room(self) -> bool:
        return self._size <= BUFFER_BYTES

    def _check(self) -> None:
        if self.error is not None:
            raise self.error
        if self._is_closed:
            raise closed(self._writer.name)

    def _run(self) -> Future[None]:
        if self._running is None or self._running.done():
            self._running = self._threads.submit(self._write)
        elif self._size >= BATCH_BYTES or self._is_closing:
            self._changed.notify_all()
        return self._running

    def _write(self) -> None:
        """Writes until nothing is left."""
        while True:
            with self._changed:
                self._changed.wait_for(self._is_due, max(0.0, self._due - time.monotonic()))
                values, size = self._take()
                close, self._is_closing = self._is_closing and not self._values, self._is_closing and bool(self._values)
                if not (values or close or self._is_to_open):
                    self._running, self._hurries = None, False
                    self._changed.notify_all()
                    return
                self._due = time.monotonic() + INTERVAL if values else self._due
            try:
                self._writer.open()
                if values or close:
                    self._writer.write(values, size, close=close)
            except Replaced as error:
                self.goes_on_elsewhere |= error.is_same_attempt
                self.end(asyncio.CancelledError(*error.args))
            except BaseException as error:
                self.end(error)
            self._is_to_open = False

    def _is_due(self) -> bool:
        return self._hurries or self._is_closing or self._is_to_open or not self._values or self._size >= BATCH_BYTES

    def _take(self) -> tuple[list[Json], int]:
        """The values that are written next, and their bytes."""
        taken, size = 0, 0
        for value in self._values[:_BATCH_VALUES]:
            more = len(dump_value(value)) + 1
            if taken and size + more > 3 * BATCH_BYTES:
                break
            taken, size = taken + 1, size + more
        values, self._values = self._values[:taken], self._values[taken:]
        self._size -= size
        self._changed.notify_all()
        return values, size


class _Room:
    """Ends when what was written leaves room for more."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        while not self._outlet.has_room():
            await asyncio.sleep(_LOOK_EVERY)
        self._outlet.check()


class AttemptStreams:
    """The streams that one attempt writes. May be used from several threads.

    threads: returns those that write.
    is_first: no earlier execution of the step can have begun.
    """

    def __init__(
        self, world: World, task: StepTask, threads: Callable[[], ThreadPoolExecutor], *, is_first: bool
    ) -> None:
        self._world = world
        self._task = task
        self._threads = threads
        self._is_first = is_first
        self._execution = ""
        self._outlets: dict[str, Outlet] = {}
        self._lock = threading.Lock()

    def open(self, name: str, resume: bool) -> Outlet:
        with self._lock:
            if name not in self._outlets:
                self._execution = self._execution or uuid.uuid4().hex[:16]
                writer = Writer(self._world, self._task, name, self._execution, self._is_first, resume)
                self._outlets[name] = Outlet(writer, self._threads())
            return self._outlets[name]

    async def finish(self, error: BaseException | None) -> BaseException | None:
        """Waits until everything is written, if the step has ended by itself. Returns what the step fails of, if it
        does.

        error: what it has raised.
        Raises `ConflictError` if another execution of this attempt goes on: the outcome is its to tell.
        """
        # An attempt that is given up writes no more.
        if not isinstance(error, (asyncio.CancelledError, StepTimeoutError)):
            for outlet in self._outlets.values():
                if writing := outlet.flush():
                    await asyncio.shield(asyncio.wrap_future(writing))
        if any(outlet.goes_on_elsewhere for outlet in self._outlets.values()):
            raise ConflictError(f"step {self._task.step_id}: another execution of attempt {self._task.attempt} goes on")
        if error is not None:
            return error
        return next((outlet.error for outlet in self._outlets.values() if outlet.error is not None), None)

    def end(self) -> None:
        """Writes nothing more: whatever the attempt has left running is told so."""
        for outlet in self._outlets.values():
            outlet.end(OutsideError("this attempt of the step has ended, and can write no more to its streams"))
