"""A process that dies at any write leaves no stream without a value, and none with a value too many."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.crashes import Crashes, CrashingWorld, When, die_at_each_call, persist, serve
from tests.support.stream_values import values_that_stand, write_at_once
from worldflow import RetryPolicy, continue_as_new, open_stream, sleep, step, workflow
from worldflow.runtime import starting
from worldflow.worlds.streams import StreamReader


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    write_at_once(monkeypatch)


@step(retry=RetryPolicy(max_attempts=3, initial_interval="1s"))
async def stream_letters(text: str) -> str:
    async with open_stream("answer", str) as out:
        for letter in text:
            await out.write(letter)
    return text


@step(inline=True)
async def stream_letters_inline(text: str) -> str:
    async with open_stream("answer", str) as out:
        for letter in text:
            await out.write(letter)
    return text


@step
async def stream_letters_on(text: str) -> str:
    async with open_stream("letters", str, resume=True) as out:
        for letter in text[out.written :]:
            await out.write(letter)
    return text


@workflow
async def letters_with_progress(generation: int) -> None:
    progress = open_stream("progress", str)
    progress.write(f"{generation} asks")
    progress.write(f"{generation} waits")
    await stream_letters("abc")
    open_stream("answer", str).write("-")
    await stream_letters_inline("def")
    await stream_letters_on("ghi")
    progress.write(f"{generation} rests")
    await sleep("1h")
    progress.write(f"{generation} ends")
    if generation == 1:
        continue_as_new(2)
    progress.close()


def live(crashes: Crashes, live_limit: int = 200) -> CrashingWorld:
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "r", letters_with_progress, {"generation": 1}))
    serve(world, live_limit=live_limit)
    return world


def check(world: CrashingWorld) -> None:
    record = world.get_run("r~2")
    assert record and record.status == "completed", world.crashed
    assert values_that_stand(world, "r", "progress") == [
        f"{generation} {what}" for generation in (1, 2) for what in ("asks", "waits", "rests", "ends")
    ], world.crashed
    assert values_that_stand(world, "r", "answer") == [*"abc-def"] * 2, world.crashed
    assert values_that_stand(world, "r", "letters") == [*"ghi"] * 2, world.crashed
    assert ends(world, "progress")


def ends(world: CrashingWorld, name: str) -> Any:
    reader = StreamReader(world, "r", name)
    while reader.read():
        pass
    return reader.ended


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("live_limit", [0, 200])
def test_a_process_dies_at_any_call(when: When, live_limit: int) -> None:
    die_at_each_call(lambda crashes: live(crashes, live_limit), check, when)
