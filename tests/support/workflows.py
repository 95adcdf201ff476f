"""Workflows that no shop has, for what the examples do not show."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

from worldflow import FatalError, step, step_info, wait_for_signal, workflow

_log = logging.getLogger(__name__)


@step
async def square(number: int) -> int:
    return number * number


@step
async def increment(number: int) -> int:
    return number + 1


@step
async def increment_at_last(number: int) -> int:
    if step_info().attempt == 1:
        raise ConnectionError("not yet")
    return number + 1


@step
def thread_name() -> str:
    return threading.current_thread().name


@step
async def about_itself() -> list[str | int]:
    info = step_info()
    return [info.run_id, info.step_id, info.attempt, info.idempotency_key]


@step
async def slow(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return time.monotonic()


@step
async def chatter(text: str) -> None:
    _log.warning("%s", text)


@step
async def refuse(message: str) -> None:
    raise FatalError(message)


@step
async def big(size: int) -> str:
    return "x" * size


@workflow
async def squares(count: int) -> int:
    return sum(await asyncio.gather(*(square(number) for number in range(count))))


@workflow
async def chain(length: int) -> int:
    number = 0
    for _ in range(length):
        number = await increment(number)
    return number


@workflow(inline_steps=True)
async def chain_inline(length: int) -> int:
    number = 0
    for _ in range(length):
        number = await increment(number)
    return number


@step(inline=True, guarantee="pure")
async def increment_again(number: int) -> int:
    return number + 1


@workflow
async def chain_pure(length: int) -> int:
    number = 0
    for _ in range(length):
        number = await increment_again(number)
    return number


@step(guarantee="repeatable")
async def increment_unrecorded(number: int) -> int:
    return number + 1


@workflow
async def chain_unrecorded(length: int) -> int:
    number = 0
    for _ in range(length):
        number = await increment_unrecorded(number)
    return number


@workflow
async def chain_in_time(length: int) -> int:
    number = 0
    for _ in range(length):
        number = await increment.options(timeout="1m")(number)
    return number


@workflow
async def stumbles(number: int) -> int:
    return await increment(await increment_at_last(number))


@workflow
async def pauses(count: int, seconds: float = 1.0) -> int:
    for _ in range(count):
        await asyncio.sleep(seconds)
    return count


@workflow
async def collect(count: int) -> list[object]:
    return [await wait_for_signal("value") for _ in range(count)]


@workflow(signals={"sum": int})
async def declares_a_sum() -> int:
    return await wait_for_signal("sum", int)


@workflow
async def fails(message: str) -> None:
    await refuse(message)


@workflow
async def big_values(size: int) -> int:
    values = [await big(size), await wait_for_signal("value", str)]
    return sum(map(len, values))


@workflow
async def wanders() -> int:
    """Is not deterministic once `detour` is set."""
    return await (square(2) if detour.is_set() else increment(2)) + await increment(3)


detour = threading.Event()
