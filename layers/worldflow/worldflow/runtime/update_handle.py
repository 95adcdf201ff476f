"""An update that a run has accepted, from outside: its answer is awaited apart from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol

from typing_extensions import TypeForm, TypeVar

from worldflow.engine.durations import Duration
from worldflow.engine.history import Json
from worldflow.engine.values.serialization import Codec
from worldflow.engine.workflow.inbox import read
from worldflow.runtime import updates
from worldflow.runtime.synchronous import Synchronous, waiting
from worldflow.worlds.base import World

FIRST_POLL = 0.05
LONGEST_POLL = 2.0

V = TypeVar("V", default=Any)


class UpdateHandle(Generic[V]):
    """An update, whose answer is of type `V`."""

    def __init__(self, run: Waits, run_id: str, update_id: str, type: TypeForm[V]) -> None:
        self.id = update_id
        self.run_id = run_id
        self._run = run
        self._type = type

    def __repr__(self) -> str:
        return f"<update {self.id} of run {self.run_id}>"

    async def result(self, timeout: Duration | None = None) -> V:
        """Waits for the answer. Raises as `RunHandle.update` does, and can be called again."""
        update = updates.PendingUpdate(self.run_id, f"update/{self.id}")
        return await answer_to(self._run, update, self.id, self._type, timeout)


class SyncUpdateHandle(Synchronous[UpdateHandle[V]], Generic[V]):
    """An update, for code without asyncio; see `UpdateHandle`."""

    @property
    def id(self) -> str:
        return self._asynchronous.id

    @property
    def run_id(self) -> str:
        return self._asynchronous.run_id

    result = waiting(UpdateHandle[V].result)


class Waits(Protocol):
    """The handle of a run, by which one waits for it."""

    _world: World

    def _within(self, timeout: Duration | None, problem: Callable[[str], str]) -> AbstractAsyncContextManager[None]:
        """A limit of time, if there is one, and what to say when it is over."""

    def _pause(self, seconds: float) -> Coroutine[Any, Any, None]:
        """Waits until the run may have changed."""


async def answer_to(
    run: Waits, update: updates.PendingUpdate, name: str, type: TypeForm[V], timeout: Duration | None
) -> V:
    """The answer to an update. Raises what its handler raises, and `TimeoutError`."""
    run_id = update.run_id

    def problem(limit: str) -> str:
        again = f"; retry with update_id={update.fact_id.removeprefix('update/')!r} to get the answer"
        return f"run {run_id!r} has not answered the update {name!r} within {limit}{again}"

    async with run._within(timeout, problem):
        pauses = polls()
        while (reply := await asyncio.to_thread(updates.look_for_answer, run._world, update)) is None:
            await run._pause(next(pauses))
    return as_type(type, updates.answer(reply), "the answer to the update", name)


async def accepted(run: Waits, update: updates.PendingUpdate, name: str, timeout: Duration | None) -> None:
    """Waits until a run has received an update. Raises its refusal, and `TimeoutError`."""
    run_id = update.run_id

    def problem(limit: str) -> str:
        again = f"; retry with update_id={update.fact_id.removeprefix('update/')!r}"
        return f"run {run_id!r} has not accepted the update {name!r} within {limit}{again}"

    async with run._within(timeout, problem):
        pauses = polls()
        while not await asyncio.to_thread(updates.is_accepted, run._world, update):
            await run._pause(next(pauses))


def polls() -> Iterator[float]:
    """Seconds between two looks at a run, which grow."""
    poll = FIRST_POLL
    while True:
        yield poll
        poll = min(poll * 1.5, LONGEST_POLL)


def as_type(type: TypeForm[V], value: Json, what: str, name: str) -> V:
    """What a workflow has answered, as a value of this type. Raises `SerializationError`."""
    typed: V = value if type is Any else read(Codec(type, name), value, what, name)
    return typed
