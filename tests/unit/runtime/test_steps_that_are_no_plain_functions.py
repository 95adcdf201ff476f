"""Steps that are made of what is called like a function: under decorators, partials, objects with `__call__`."""

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest

from tests.support.crashes import CrashingWorld
from tests.unit.runtime.test_steps import run
from worldflow import ConfigurationError, StepTimeoutError, step, workflow
from worldflow.engine.history import StepCompleted
from worldflow.engine.history.failures import decode_exception

spans: list[str] = []


@contextmanager
def span() -> Iterator[None]:
    spans.append("begun")
    yield


def plain(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Awaitable[Any]:
        return function(*args, **kwargs)

    return wrapped


def without_a_word(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    return lambda number: function(number)


@pytest.mark.parametrize("decorate", [plain, span(), without_a_word], ids=["wraps", "context manager", "lambda"])
async def test_an_async_function_under_a_plain_decorator_is_awaited(world: CrashingWorld, decorate: Any):
    @step(name="decorated")
    @decorate
    async def double(number: int) -> int:
        assert threading.current_thread() is threading.main_thread()
        await asyncio.sleep(0)
        return 2 * number

    assert (await run(world, "decorated", {"number": 2})) == StepCompleted(step_id="s1", result=4)


async def test_its_timeout_is_that_of_the_step(world: CrashingWorld):
    @step
    @plain
    async def hanging() -> None:
        await asyncio.Event().wait()

    failed = await run(world, "hanging", timeout=0.01)
    assert isinstance(decode_exception(failed.error), StepTimeoutError)


async def add(day: date, number: int) -> str:
    return f"{day:%d.%m.}: {number}"


class Adder:
    def __init__(self, step: int) -> None:
        self.options = self.retry = step

    def __call__(self, number: int) -> int:
        return number + self.options


async def test_a_partial(world: CrashingWorld):
    step(functools.partial(functools.partial(add), number=7), name="partial")
    assert (await run(world, "partial", {"day": "2026-02-03"})).result == "03.02.: 7"


async def test_an_object_that_can_be_called(world: CrashingWorld):
    adding = step(Adder(2), name="adder")
    assert (await run(world, "adder", {"number": 1})).result == 3
    assert adding.options(timeout="1s").timeout == 1


@pytest.mark.parametrize("function", [functools.partial(pow, 2), Adder(1)], ids=["partial", "object"])
def test_what_has_no_name_needs_one(function: Any):
    with pytest.raises(ConfigurationError, match="has no __name__"):
        step(function)


@pytest.mark.parametrize("function", [functools.partial(add, number=1), Adder(1)], ids=["partial", "object"])
def test_they_are_no_workflows(function: Any):
    with pytest.raises(ConfigurationError, match="needs an `async def` function"):
        workflow(function, name="none")  # type: ignore[call-overload]
