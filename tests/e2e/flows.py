"""Workflows for the end-to-end tests: they are copied into the layer of workflows as somebody's own would be."""

import asyncio
import os
import signal
import time

from worldflow import (
    FatalError,
    RetryPolicy,
    continue_as_new,
    create_hook,
    create_webhook,
    on_update,
    open_stream,
    publish,
    set_attributes,
    sleep,
    step,
    step_info,
    wait_for_signal,
    workflow,
)


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


@step(retry=RetryPolicy(initial_interval="1s", jitter=0))
async def recite(words: list[str]) -> int:
    async with open_stream("words", str) as out:
        for number, word in enumerate(words):
            if number == 2 and step_info().attempt == 1:
                raise ConnectionError("the line is bad")
            await out.write(word)
            await asyncio.sleep(0.2)
    return len(words)


@workflow
async def recites(words: list[str]) -> int:
    progress = open_stream("progress", str)
    progress.write("begun")
    number = await recite(words)
    progress.write("done")
    return number


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


@step(inline=True)
async def whoami_inline() -> str:
    return step_info().step_id


@step(heartbeat_timeout="2s")
def fall_silent() -> int:
    """Says how far it has come, and then nothing for too long; the next attempt goes on from there."""
    if step_info().heartbeat_details is None:
        step_info().heartbeat(7)
        time.sleep(4)
    return int(step_info().heartbeat_details)


@step(retry=RetryPolicy(max_attempts=2, initial_interval="0s"))
def die(way: str) -> str:
    if step_info().attempt == 1:
        if way == "exit":
            os._exit(1)
        os.kill(os.getpid(), signal.SIGKILL)
    return f"survived {way}"


@workflow
async def deadly(ways: list[str]) -> list[object]:
    return list(await asyncio.gather(*map(die, ways), double(21)))


@step
async def succeed_in(generation: str) -> str:
    if not step_info().run_id.endswith(generation):
        raise FatalError("not yet")
    return generation


@workflow
async def tour(traveller: str, diary: list[object] | None = None) -> list[object]:
    if diary:
        return [*diary, await succeed_in("~3")]
    diary = []
    publish("diary", lambda: diary)

    @on_update("note")
    async def note(number: int) -> int:
        diary.append(await double(number))
        return len(diary)

    webhook, hook = create_webhook(respond="workflow"), create_hook(str, token=f"{traveller}s-hook")
    set_attributes(traveller=traveller, webhook=webhook.url)
    request = await webhook
    diary.append(request.text())
    request.respond(201, {"came by": request.method})
    diary.append(await hook)
    diary.append(await doubles(2, 1))
    diary.append(await whoami_inline())
    diary.append(await fall_silent())
    continue_as_new(traveller, diary)
