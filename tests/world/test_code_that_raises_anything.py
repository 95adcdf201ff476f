"""Whatever the code of a workflow or step raises or returns: its run ends, or is blocked, with the reason on record,
and the runs and steps beside it notice nothing.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.aws import Stack
from tests.support.systems import AWSSystem
from tests.support.wire import WiredSystem, wired_system
from worldflow import RetryPolicy, publish, set_attributes, step, workflow
from worldflow.runtime import queries, starting
from worldflow.worlds import RunRecord

ONCE = RetryPolicy(max_attempts=1)


class Odd(BaseException):
    pass


def throw(error: BaseException) -> Any:
    raise error


def recurse(depth: int = 0) -> int:
    return recurse(depth + 1) + 1


RAISED: dict[str, Callable[[], Any]] = {
    "Exception": lambda: throw(ValueError("no")),
    "SystemExit": lambda: sys.exit("bye"),
    "KeyboardInterrupt": lambda: throw(KeyboardInterrupt()),
    "GeneratorExit": lambda: throw(GeneratorExit()),
    "BaseException": lambda: throw(Odd("odd")),
    "BaseExceptionGroup": lambda: throw(BaseExceptionGroup("several", [Odd("odd"), ValueError("no")])),
    "StopIteration": lambda: next(iter([])),
    "StopAsyncIteration": lambda: throw(StopAsyncIteration()),
    "CancelledError": lambda: throw(asyncio.CancelledError()),
    "RecursionError": recurse,
    "MemoryError": lambda: bytearray(1 << 60),
}

RETURNED: dict[str, Callable[[], Any]] = {
    "an object": object,
    "a function": lambda: recurse,
    "a lock": threading.Lock,
    "what contains itself": lambda: (again := [])[:0] or again.append(again) or again,  # type: ignore[func-returns-value]
    "what is too deep": lambda: deep(5_000),
    "a lone surrogate": lambda: "\ud800",
}


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@step(name="odd_step", retry=ONCE)
async def odd_step(what: str) -> Any:
    return {**RAISED, **RETURNED}[what]()


@step(name="odd_plain_step", retry=ONCE)
def odd_plain_step(what: str) -> Any:
    return {**RAISED, **RETURNED}[what]()


@step(name="odd_takes", retry=ONCE)
async def takes(value: Any) -> None: ...


@workflow(name="odd_itself")
async def itself(what: str) -> Any:
    return {**RAISED, **RETURNED}[what]()


@workflow(name="odd_task")
async def in_a_task(what: str) -> Any:
    async def inner() -> Any:
        return {**RAISED, **RETURNED}[what]()

    return await asyncio.create_task(inner())


@workflow(name="odd_in_a_step")
async def in_a_step(what: str) -> Any:
    return await odd_step(what)


@workflow(name="odd_in_a_plain_step")
async def in_a_plain_step(what: str) -> Any:
    return await odd_plain_step(what)


@workflow(name="odd_in_an_inline_step")
async def in_an_inline_step(what: str) -> Any:
    return await odd_step.options(inline=True)(what)


@workflow(name="odd_argument")
async def as_an_argument(what: str) -> Any:
    return await takes(RETURNED[what]())


@workflow(name="odd_attribute")
async def as_an_attribute(what: str) -> None:
    set_attributes(odd=RETURNED[what]())


@step(name="odd_good_step")
async def good_step(number: int) -> int:
    return number + 1


@workflow(name="odd_good")
async def good() -> int:
    return await good_step(await good_step.options(inline=True)(1))


PLACES = [itself, in_a_task, in_a_step, in_a_plain_step, in_an_inline_step]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)


@pytest.fixture
def system(stack: Stack) -> Iterator[WiredSystem]:
    with wired_system(stack) as system:
        yield system


@pytest.mark.parametrize("place", [*PLACES, as_an_argument, as_an_attribute], ids=str)
def test_it_is_the_trouble_of_its_run_alone(system: WiredSystem, place: Any) -> None:
    odd = list(RETURNED if place in (as_an_argument, as_an_attribute) else {**RAISED, **RETURNED})
    system.steps_at_once = 10
    for number, what in enumerate(odd):
        starting.start(system.world, f"good-{number}", good, {})
        starting.start(system.world, f"odd-{number}", place, {"what": what})
    starting.start(system.world, "good-last", good, {})
    system.settle()  # no time passes: nothing has to come again

    assert system.deaths == []
    records = {record.run_id: record for record in system.world.list_runs(limit=100).runs}
    assert {record.status for run_id, record in records.items() if run_id.startswith("good")} == {"completed"}
    silent = [what for number, what in enumerate(odd) if not said(system.world.read_run(f"odd-{number}"), what)]
    assert silent == []
    waiting = [message for queue in system.stack.arns for message in system.stack.messages(queue)]
    assert not [message.body for message in waiting if '"nonce":"blocked-' not in message.body], "it looks again later"


def said(record: RunRecord, what: str) -> bool:
    """Whether somebody who looks at the run learns what happened."""
    if record.status == "blocked":
        return what in (record.blocked_reason or "")
    if what == "CancelledError" and record.status == "cancelled":
        return True
    return record.status == "failed" and record.error is not None


@workflow(name="odd_published")
async def published() -> int:
    for what, make in {**RAISED, **RETURNED}.items():
        publish(what, make)
    return await good_step(1)


def test_what_is_published_troubles_who_asks(aws: AWSSystem) -> None:
    starting.start(aws.world, "r", published, {})
    aws.poll("runs")
    for what in {**RAISED, **RETURNED}:
        with pytest.raises(BaseException) as raised:
            queries.query(aws.world, "r", what)
        assert what in RETURNED or type(raised.value).__name__ in (what, "Odd", "ValueError", "RuntimeError"), what
    aws.settle()

    assert aws.world.read_run("r").result == 2
