"""What would make two runs of a seed differ, held still; and the log, which tells of errors that nobody injected."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from tests.simulation.faults import INJECTED
from tests.support.stream_values import AtOnce
from worldflow.engine.errors import ConflictError
from worldflow.turns import streams
from worldflow.turns.step_runner import StepRunner
from worldflow.turns.threads import Threads
from worldflow.worlds import limits, payloads


async def _here(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """In place of `asyncio.to_thread`: other tasks have their turn first."""
    await asyncio.sleep(0)
    return function(*args, **kwargs)


def _call_here(_: Threads, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
    return asyncio.ensure_future(_here(function, *args, **kwargs))


class _NoThreads:
    """In place of a `ThreadPoolExecutor`."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> _NoThreads:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, function: Callable[..., Any], *values: Any) -> list[Any]:
        return list(map(function, *values))


@contextmanager
def held_still(seed: int) -> Iterator[None]:
    """Chance comes from the seed, and nothing runs in a thread of its own."""
    chance = random.Random(f"{seed} ids")

    def source() -> random.Random:
        return random.Random(chance.getrandbits(64))

    def uuid4() -> uuid.UUID:
        return uuid.UUID(int=chance.getrandbits(128), version=4)

    with (
        mock.patch.object(asyncio, "to_thread", _here),
        mock.patch.object(Threads, "call", _call_here),
        mock.patch.object(random, "SystemRandom", source),
        mock.patch.object(uuid, "uuid4", uuid4),
        mock.patch.object(limits, "time", SimpleNamespace(sleep=lambda _: None)),
        mock.patch.object(payloads, "ThreadPoolExecutor", _NoThreads),
        mock.patch.object(StepRunner, "_threads_of_streams", lambda _: AtOnce()),
        mock.patch.object(streams, "INTERVAL", 0.0),
        mock.patch.dict(os.environ, WORLDFLOW_LOG_PAYLOADS="true"),
    ):
        yield


_OF_USERS = "in a workflow: "
"""Programs fail without anybody looking."""


class Errors(logging.Handler):
    """Passes on what the engine logs as an error, unless it is of the simulation's making."""

    listener: Callable[[str, BaseException | None], None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is None or isinstance(error, (*INJECTED, ConflictError)) or record.getMessage().startswith(_OF_USERS):
            return
        if self.listener:
            self.listener(f"{record.getMessage()}: {error!r}", error)


@contextmanager
def expected_errors() -> Iterator[Errors]:
    errors = Errors(logging.ERROR)
    loggers = [logging.getLogger(name) for name in ("worldflow", "workflows", "asyncio")]
    before = [(logger, logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.handlers[:], logger.propagate = [], False
        logger.setLevel(logging.ERROR if logger.name == "worldflow" else logging.CRITICAL)
    loggers[0].addHandler(errors)
    try:
        yield errors
    finally:
        for logger, handlers, propagate, level in before:
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(level)
