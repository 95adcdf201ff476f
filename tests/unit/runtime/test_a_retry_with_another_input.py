"""A failed run that is retried with another input starts from its beginning, as the next generation of its id."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from worldflow import (
    InvalidInputError,
    RetryPolicy,
    RunFailedError,
    set_attributes,
    step,
    step_info,
    uuid4,
    wait_for_signal,
    workflow,
)
from worldflow.runtime import starting
from worldflow.testing import TestRun, WorkflowEnvironment

asked: list[Any] = []


@pytest.fixture(autouse=True)
def _fresh(caplog: pytest.LogCaptureFixture) -> None:
    asked.clear()
    caplog.set_level("CRITICAL", "worldflow")


@step(retry=RetryPolicy(max_attempts=1))
async def input_reserve(sku: str) -> str:
    asked.append((sku, step_info().idempotency_key))
    return sku


@step(retry=RetryPolicy(max_attempts=1))
async def input_charge(card: str) -> str:
    if card != "good":
        raise ValueError(f"the card is {card}")
    return card


@workflow
async def input_order(sku: str, card: str, quantity: int = 1, wait: bool = False) -> list[Any]:
    set_attributes(sku=sku)
    if wait:
        await wait_for_signal("go")
    return [str(uuid4()), await input_reserve(sku), await input_charge(card), quantity]


async def failed(env: WorkflowEnvironment, **arguments: Any) -> TestRun[Any]:
    run = await env.start(input_order, **{"sku": "A", "card": "bad", **arguments})
    with pytest.raises(RunFailedError, match="the card is"):
        await run.result()
    return run


async def test_it_starts_from_the_beginning_with_the_arguments_that_are_named() -> None:
    async with WorkflowEnvironment() as env:
        run = await failed(env, quantity=3)
        await run.retry(input={"card": "good"})
        assert (await run.result())[1:] == ["A", "good", 3]
        record = await run.record()
        assert (record.run_id, record.input) == ("test-1~2", {"sku": "A", "card": "good", "quantity": 3})
        assert record.attributes == {"sku": "A"}
        assert env.world.read_run("test-1").status == "failed"
    # Nothing is kept: its steps run again, as those of another request.
    assert asked == [("A", "test-1/s1"), ("A", "test-1~2/s1")]


async def test_its_chance_is_its_own() -> None:
    async with WorkflowEnvironment() as env:
        run = await failed(env)
        await run.retry(input={"card": "good"})
        first = (await run.result())[0]
        other = await run.fork("again", edit={"input": {"card": "good"}})
        assert (await other.result())[0] != first


async def test_a_run_whose_input_did_not_fit_is_put_right() -> None:
    async with WorkflowEnvironment() as env:
        await asyncio.to_thread(starting.start, env.world, "r", "input_order", {"sku": "A", "card": 7, "amount": 1})
        await env.settle()
        run = env.run("r")
        with pytest.raises(RunFailedError, match="does not fit"):
            await run.result()
        with pytest.raises(InvalidInputError) as refused:
            await run.retry(input={"card": "good"})
        assert [field.field for field in refused.value.fields] == ["edit.1.amount"]


async def test_the_same_request_again_is_one_retry() -> None:
    async with WorkflowEnvironment() as env:
        run = await failed(env)
        for _ in range(2):
            await run.retry(input={"card": "good", "wait": True})
        assert env.world.get_run("test-1~3") is None
        for other in ({"card": "better"}, None):
            with pytest.raises(InvalidInputError, match="only a failed run can be retried"):
                await run.retry(input=other)
        await run.signal("go")
        assert (await run.result())[1:] == ["A", "good", 1]


async def test_one_that_fails_again_is_retried_in_either_way() -> None:
    async with WorkflowEnvironment() as env:
        run = await failed(env)
        for card in ("worse", "good"):
            await run.retry(input={"card": card})
            try:
                await run.result()
            except RunFailedError:
                assert card == "worse"
        assert (await run.record()).run_id == "test-1~3"


async def test_a_retry_with_its_own_input_goes_on_where_it_failed() -> None:
    async with WorkflowEnvironment() as env:
        run = await failed(env)
        await run.retry(input={"card": "worse"})
        with pytest.raises(RunFailedError):
            await run.result()
        asked.clear()
        await run.retry()
        with pytest.raises(RunFailedError, match="the card is worse"):
            await run.result()
    assert asked == []


async def test_what_was_sent_to_the_run_that_failed_is_not_sent_again() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(input_order, "A", "bad", wait=True)
        await run.signal("go")
        with pytest.raises(RunFailedError):
            await run.result()
        await run.retry(input={"card": "good"})
        assert await run.status() == "running"
        await run.signal("go")
        await run.result()


@pytest.mark.parametrize(
    ("input", "field"),
    [({"card": 1}, "edit.1.card"), ({"colour": "red"}, "edit.1.colour"), ([1], "edit.1.input")],
)
async def test_what_does_not_fit_is_refused(input: Any, field: str) -> None:
    async with WorkflowEnvironment() as env:
        run = await failed(env)
        with pytest.raises(InvalidInputError) as refused:
            await run.retry(input=input)
        assert [wrong.field for wrong in refused.value.fields] == [field]
        assert env.world.get_run("test-1~2") is None


async def test_only_a_failed_run_has_another_input() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(input_order, "A", "good")
        await run.result()
        with pytest.raises(InvalidInputError, match="only a failed run can be retried"):
            await run.retry(input={"card": "better"})
