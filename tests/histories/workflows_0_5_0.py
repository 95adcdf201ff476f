"""Workflows whose histories release 0.5.0 recorded: what it knows that 0.4.0 did not. Frozen as those before it are."""

import asyncio

from tests.histories.named import named_step, named_workflow
from worldflow import (
    HookFailedError,
    RetryPolicy,
    RunNotFoundError,
    create_hook,
    open_stream,
    signal_run,
    step_info,
    wait_for_signal,
)

RELEASE = "0.5.0"

step = named_step(RELEASE)
workflow = named_workflow(RELEASE)


@step()
async def words(count: int) -> int:
    async with open_stream("answer", str) as out:
        for number in range(count):
            await out.write(f"word {number}")
    return count


@workflow()
async def streams(count: int) -> int:
    progress = open_stream("progress", str)
    progress.write("asks")
    progress.write("waits")
    found = await words(count)
    await progress.write(f"has {found}")
    await progress.write("long " * 300)
    await progress.close()
    return found


@step(cancellation="wait", retry=RetryPolicy(max_attempts=2, initial_interval="9.5s", jitter=0))
async def answers_the_second_time() -> str:
    if step_info().attempt == 1:
        raise ConnectionError("nobody is there")
    return "answered"


@workflow()
async def waits_for_a_step() -> str:
    answer = ""
    try:
        async with asyncio.timeout(9):
            answer = await answers_the_second_time()
            await asyncio.sleep(60)
    except TimeoutError:
        return f"{answer} late"
    return answer


@step(inline=True)
async def notes_the_word(word: str) -> str:
    return f"noted {word}"


@workflow()
async def pauses_and_is_woken(other: str) -> list[str]:
    told = []
    try:
        await signal_run(other, "word", 1)
    except RunNotFoundError as error:
        told.append(str(error))
    with create_hook(token="paused-and-woken") as hook:
        told += [] if await hook.get_conflict() else ["mine"]
        try:
            await hook
        except HookFailedError as error:
            told.append(str(error))
    told.append(await notes_the_word(await wait_for_signal("word")))
    await asyncio.sleep(86_400)
    return told
