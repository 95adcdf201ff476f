"""A generator as a step: what it yields goes to a stream, and the list of it is the step's result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.stream_values import values_that_stand
from tests.support.systems import System, finish, start
from worldflow import RetryPolicy, step, step_info, workflow


@step(stream="tokens")
async def yield_tokens(question: str) -> AsyncIterator[str]:
    for word in question.split():
        yield word


@step(stream="tokens")
def yield_tokens_plainly(question: str) -> Iterator[str]:
    yield from question.split()


@step(stream="tokens", returns=" ".join, inline=True)
async def yield_tokens_inline(question: str) -> AsyncIterator[str]:
    for word in question.split():
        yield word


HOW = {one.name: one for one in (yield_tokens, yield_tokens_plainly, yield_tokens_inline)}


@workflow
async def ask_for_tokens(how: str, question: str) -> list[str] | str:
    return await HOW[how](question)


@pytest.mark.parametrize("how", HOW)
def test_values_go_to_the_stream_and_their_list_is_the_result(system: System, how: str) -> None:
    start(system, "r", ask_for_tokens, how=how, question="why is it so")

    assert finish(system, "r").result == ("why is it so" if how == "yield_tokens_inline" else ["why", "is", "it", "so"])
    assert values_that_stand(system.world, "r", "tokens") == ["why", "is", "it", "so"]


@step(stream="tokens", returns=len, retry=RetryPolicy(max_attempts=2, initial_interval="1s"))
async def yield_and_fail_once(question: str) -> AsyncIterator[str]:
    yield f"attempt {step_info().attempt}"
    if step_info().attempt == 1:
        raise ConnectionError("the model hung up")
    yield question


@workflow
async def ask_again(question: str) -> int:
    return await yield_and_fail_once(question)


def test_the_values_of_an_attempt_that_failed_are_void(system: System) -> None:
    start(system, "r", ask_again, question="why")

    assert finish(system, "r").result == 2
    assert values_that_stand(system.world, "r", "tokens") == ["attempt 2", "why"]
