"""The workflow of `streams.py`, which copies this file into the layer of workflows."""

import asyncio
import time

from typing_extensions import TypedDict

from worldflow import open_stream, step, workflow


class Token(TypedDict):
    text: str
    at: float
    """When it was written, by the clock of the machine."""


@step(name="bench_speak")
async def speak(tokens: int, a_second: int) -> int:
    began = time.monotonic()
    async with open_stream("answer", Token) as out:
        for number in range(tokens):
            await asyncio.sleep(max(0.0, began + number / a_second - time.monotonic()))
            await out.write({"text": f"word{number} ", "at": time.time()})
    return tokens


@workflow(name="bench_tokens")
async def answer(tokens: int, a_second: int) -> int:
    return await speak(tokens, a_second)
