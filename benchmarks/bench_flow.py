"""The workflows of `counts.py`, which copies this file into the layer of workflows: no more than what is counted."""

import asyncio

from worldflow import RetryPolicy, sleep, step, step_info, wait_for_signal, workflow


@step
async def queued(number: int) -> int:
    return number


@step(guarantee="repeatable")
async def unrecorded(number: int) -> int:
    return number


@step(inline=True)
async def inline(number: int) -> int:
    return number


@step(inline=True, guarantee="pure")
async def pure(number: int) -> int:
    return number


@step(retry=RetryPolicy(initial_interval="1s", jitter=0))
async def fails_once() -> None:
    if step_info().attempt == 1:
        raise ConnectionError("again")


STEPS = {"queued": queued, "unrecorded": unrecorded, "inline": inline, "pure": pure}


@workflow
async def bench_sequence(kind: str, count: int) -> int:
    for number in range(count):
        await STEPS[kind](number)
    return count


@workflow
async def bench_fan_out(kind: str, count: int) -> int:
    return len(await asyncio.gather(*(STEPS[kind](number) for number in range(count))))


@workflow
async def bench_signal() -> None:
    await wait_for_signal("go")


@workflow
async def bench_sleep() -> None:
    await sleep("2s")


@workflow
async def bench_child() -> int:
    return await bench_sequence("queued", 0)


@workflow
async def bench_retry() -> None:
    await fails_once()
