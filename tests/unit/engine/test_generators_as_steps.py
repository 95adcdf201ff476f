"""Generators as steps: what a direct call gives, the types of their values and results, and what is refused."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from worldflow import ConfigurationError, RunFailedError, step, workflow
from worldflow.engine.workflow.definitions import find_step
from worldflow.testing import WorkflowEnvironment


class Token(BaseModel):
    text: str


@step(stream="tokens", name="typed_tokens")
async def typed_tokens(texts: list[str]) -> AsyncIterator[Token]:
    for text in texts:
        yield Token(text=text)


@workflow(name="asks_for_typed_tokens")
async def typed(texts: list[str]) -> list[str]:
    return [token.text for token in await typed_tokens(texts)]


@step(stream="tokens", name="counted_tokens", returns=len)
def counted_tokens(texts: list[str]) -> Iterator[Any]:
    yield from texts


def generator() -> Iterator[str]:
    yield "a"


def joined(tokens: list[str]) -> Token:
    return Token(text="".join(tokens))


def test_a_direct_call_returns_the_result_and_writes_nothing() -> None:
    assert asyncio.run(typed_tokens(["a", "b"])) == [Token(text="a"), Token(text="b")]
    plain: Any = counted_tokens
    assert plain(["a", "b"]) == 2


async def test_values_have_their_type_in_the_workflow() -> None:
    async with WorkflowEnvironment() as env:
        assert await (await env.start(typed, ["a", "b"])).result() == ["a", "b"]


def test_the_result_has_the_type_of_what_returns_it() -> None:
    made = step(stream="tokens", name="joined_tokens", returns=joined)(generator)

    assert typed_tokens.signature.returns == list[Token]
    assert made.signature.returns is Token
    assert counted_tokens.signature.returns is Any


def test_a_partial_and_a_method_may_yield() -> None:
    class Model:
        def tokens(self, text: str) -> Iterator[str]:
            yield from text

    method: Any = step(stream="t", name="tokens_of_a_method")(Model().tokens)
    partial: Any = step(stream="t", name="tokens_of_a_partial")(functools.partial(Model().tokens, "ab"))

    assert method("ab") == partial() == ["a", "b"]
    assert find_step("tokens_of_a_method").signature.returns == list[str]


@step(stream="tokens", name="wrong_tokens")
async def wrong_tokens() -> AsyncIterator[int]:
    yield "many"  # type: ignore[misc]  # pyright: ignore[reportReturnType]


@workflow(name="asks_for_wrong_tokens")
async def wrong() -> list[int]:
    return await wrong_tokens()


async def test_a_value_of_another_type_fails_the_step() -> None:
    async with WorkflowEnvironment() as env:
        with pytest.raises(RunFailedError, match="int"):
            await (await env.start(wrong)).result()


closed: list[str] = []


@step(stream="tokens", name="tokens_that_hold_something", returns=len)
async def holding() -> AsyncIterator[int]:
    try:
        yield "not a number"  # type: ignore[misc]  # pyright: ignore[reportReturnType]
    finally:
        closed.append("it")


@workflow(name="asks_for_tokens_that_hold_something")
async def asks_holding() -> int:
    return await holding()


async def test_a_generator_that_is_left_early_is_closed() -> None:
    async with WorkflowEnvironment() as env:
        with pytest.raises(RunFailedError):
            await (await env.start(asks_holding)).result()
    assert set(closed) == {"it"}


async def async_tokens() -> AsyncIterator[str]:
    yield "a"


@pytest.mark.parametrize(
    ("options", "function", "why"),
    [
        ({"stream": "s"}, list, "contains no `yield`. Yield the values, or write them with open_stream"),
        ({"stream": "no name"}, async_tokens, r"@step\(stream='no name'\) on wrong_stream: .*'no name'"),
        ({"stream": "s", "returns": "list"}, async_tokens, "returns must be a function of the list of values"),
        ({"returns": len}, async_tokens, r"@step\(returns=...\) needs a stream"),
        ({}, async_tokens, r"let it write to a stream with @step\(stream=...\)"),
    ],
)
def test_what_is_refused(options: Any, function: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        step(name="wrong_stream", **options)(function)
