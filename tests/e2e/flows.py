"""Workflows for the end-to-end tests: they are copied into the layer of workflows as somebody's own would be."""

import asyncio
import time

from worldflow import sleep, step, step_info, wait_for_signal, workflow


@step
async def double(number: int) -> int:
    return 2 * number


@step
def take_a_second(number: int) -> tuple[int, float, float]:
    began = time.time()
    time.sleep(1)
    return number, began, time.time()


@step
async def whoami() -> list[str]:
    info = step_info()
    return [info.run_id, info.step_id, info.idempotency_key]


@workflow
async def doubles(start: int, times: int) -> int:
    for _ in range(times):
        start = await double(start)
    return start


@workflow
async def parallel(count: int) -> list[tuple[int, float, float]]:
    return list(await asyncio.gather(*(take_a_second(number) for number in range(count))))


@workflow
async def nap(duration: str) -> list[str]:
    await sleep(duration)
    return await whoami()


@workflow
async def collect(count: int) -> list[int]:
    return [await wait_for_signal("number", int) for _ in range(count)]
