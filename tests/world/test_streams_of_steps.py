"""What steps write to a stream is read while they run and afterwards, on every World."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.systems import System, finish, start
from worldflow import RetryPolicy, StreamItem, StreamReset, open_stream, step, step_info, workflow
from worldflow.runtime import Orchestrator
from worldflow.worlds import World, streams

AGAIN = RetryPolicy(max_attempts=2, initial_interval="1s")


@step
async def stream_words(words: list[str]) -> int:
    async with open_stream("answer", str) as out:
        for word in words:
            await out.write(word)
    return len(words)


@step
def stream_words_plainly(words: list[str]) -> int:
    with open_stream("answer", str) as out:
        for word in words:
            out.write(word)
    return len(words)


@step
async def stream_without_a_block(words: list[str]) -> int:
    out = open_stream("answer", str)
    for word in words:
        out.write(word)
    return len(words)


@step(inline=True)
async def stream_words_inline(words: list[str]) -> int:
    return await stream_words.function(words)


HOW = {one.name: one for one in (stream_words, stream_words_plainly, stream_without_a_block, stream_words_inline)}


@workflow
async def answer_with(how: str, words: list[str]) -> int:
    return await HOW[how](words)


@pytest.mark.parametrize("how", HOW)
def test_a_step_writes_a_stream(system: System, how: str) -> None:
    words = [f"word {number}" for number in range(1_000)]
    start(system, "r", answer_with, how=how, words=words)
    assert finish(system, "r").result == 1_000

    assert everything(system.world, "r", "answer") == [StreamItem(n, word, "s1", 1) for n, word in enumerate(words, 1)]
    assert streams.names(system.world, "r") == ["answer"]


def test_a_reader_begins_after_any_offset(system: System) -> None:
    words = [f"word {number}" for number in range(700)]
    start(system, "r", answer_with, how="stream_words", words=words)

    for after in (0, 1, 254, 255, 256, 699, 700, 10_000):
        assert [item.offset for item in everything(system.world, "r", "answer", after)] == list(range(after + 1, 701))


@step(retry=AGAIN)
async def stream_and_fail_once(resume: bool) -> None:
    async with open_stream("answer", str, resume=resume) as out:
        for number in range(out.written, 4):
            await out.write(f"{number} of attempt {step_info().attempt}")
            if number == 1 and step_info().attempt == 1:
                raise ValueError("broken off")


@workflow
async def answer_at_the_second_attempt(resume: bool) -> None:
    await stream_and_fail_once(resume)


def test_a_later_attempt_makes_what_was_written_void(system: System) -> None:
    start(system, "r", answer_at_the_second_attempt, resume=False)
    finish(system, "r")

    assert everything(system.world, "r", "answer") == [
        StreamItem(1, "0 of attempt 1", "s1", 1),
        StreamItem(2, "1 of attempt 1", "s1", 1),
        StreamReset(3, "s1", 2, since=1),
        *(StreamItem(4 + number, f"{number} of attempt 2", "s1", 2) for number in range(4)),
    ]


def test_a_later_attempt_may_resume(system: System) -> None:
    start(system, "r", answer_at_the_second_attempt, resume=True)
    finish(system, "r")

    assert [item.value for item in everything(system.world, "r", "answer")] == [
        "0 of attempt 1",
        "1 of attempt 1",
        "2 of attempt 2",
        "3 of attempt 2",
    ]


def everything(world: World, run_id: str, name: str, after: int = 0) -> list[Any]:
    """What a reader gets of a run that has ended."""

    async def read() -> list[Any]:
        return [item async for item in Orchestrator(world).run(run_id).stream(name, after=after)]

    return asyncio.run(read())
