"""Text that databases and queues like to break, and values of any size, arrive as they were."""

import asyncio

import pytest

from tests.support.scenarios import Env
from worldflow import sleep, step, wait_for_signal, workflow

TEXTS = {
    "null": "null byte \0",
    "empty": "",
    "controls": "".join(map(chr, range(32))),
    "not characters": "\ufffe\uffff",
    "astral": "\U0001f600 \u65e5\u672c\u8a9e",
    "separators": "\u2028\u2029\x85\r\n",
    "json": '{"$payload": "\\u0000"}',
    "large": "\u20ac\0" * 60_000,
}


@pytest.mark.parametrize("kind", TEXTS)
async def test_text_through_steps_and_signals(env: Env, kind: str) -> None:
    @step
    async def echo(text: str) -> str:
        assert text == TEXTS[kind]
        return text

    @workflow
    async def texts(text: str) -> list[str]:
        return [text, await echo(text), await wait_for_signal("text", str)]

    run = await env.start(texts, TEXTS[kind])
    await run.signal("text", TEXTS[kind])

    assert await run.result() == [TEXTS[kind]] * 3


async def test_many_branches_each_too_large_for_a_message(env: Env) -> None:
    @step
    async def page(number: int) -> str:
        return str(number) * 100_000

    @workflow
    async def binding() -> list[int]:
        pages = await asyncio.gather(*(page(number) for number in range(5)))
        await sleep("1s")
        return [len(set(text)) for text in pages]

    assert await env.run(binding) == [1] * 5
