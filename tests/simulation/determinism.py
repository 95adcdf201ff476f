"""What would make two runs of a seed differ, held still; and the log, which tells of errors that nobody injected."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from tests.simulation.faults import INJECTED
from worldflow.engine.errors import ConflictError


async def _here(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """In place of `asyncio.to_thread`: other tasks have their turn first."""
    await asyncio.sleep(0)
    return function(*args, **kwargs)


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
        mock.patch.object(random, "SystemRandom", source),
        mock.patch.object(uuid, "uuid4", uuid4),
    ):
        yield


_OF_USERS = "in a workflow: "
"""Programs fail without anybody looking."""


_EXPECTED = {kind.__name__ for kind in (*INJECTED, ConflictError)}
"""By name: what is logged of an error is another of the same name."""


class Errors(logging.Handler):
    """Passes on what the engine logs as an error, unless it is of the simulation's making."""

    listener: Callable[[str, BaseException | None], None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is None or type(error).__name__ in _EXPECTED or record.getMessage().startswith(_OF_USERS):
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
