"""Steps, and what is awaited together."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import assert_type

from pydantic import BaseModel

from worldflow import RetryPolicy, StepInfo, create_hook, sleep, step, step_info, wait_for_signal, workflow
from worldflow.testing import step_context


class Receipt(BaseModel):
    amount: Decimal


@step
async def charge(card: str, amount: Decimal) -> Receipt:
    assert_type(step_info(), StepInfo)
    return Receipt(amount=amount)


@step
def reserve(sku: str, quantity: int = 1) -> str | None:
    return f"{quantity} {sku}"


@step(retry=RetryPolicy(max_attempts=5), timeout="2m", guarantee="at_most_once")
async def ship(sku: str) -> int:
    return len(sku)


@step(name="pack", inline=True)
def pack_parcel(*skus: str, gift: bool = False) -> list[str]:
    return list(skus)


@workflow(name="types_steps")
async def steps(sku: str) -> Receipt:
    assert_type(await charge("4242", Decimal(1)), Receipt)
    assert_type(await reserve(sku), str | None)
    assert_type(await reserve(sku, quantity=2), str | None)
    assert_type(await ship.options(timeout="10s")(sku), int)
    assert_type(await pack_parcel("a", "b", gift=True), list[str])

    await charge("4242", 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await reserve()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await pack_parcel("a", presents=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    return await charge("4242", Decimal(2))


@step(stream="tokens", name="types_tokens")
async def tokens(question: str) -> AsyncIterator[str]:
    yield question


@step(stream="numbers", name="types_numbers", timeout="10s")
def numbers(limit: int) -> Iterator[int]:
    yield from range(limit)


def joined(tokens: list[str]) -> str:
    return "".join(tokens)


@step(stream="tokens", name="types_text", returns=joined)
async def text(question: str) -> AsyncIterator[str]:
    yield question


@step(stream="numbers", name="types_count", returns=len, retry=RetryPolicy(max_attempts=5))
def count(limit: int) -> Iterator[int]:
    yield from range(limit)


@workflow(name="types_generators")
async def generators() -> None:
    assert_type(await tokens("why"), list[str])
    assert_type(await numbers(limit=3), list[int])
    assert_type(await text("why"), str)
    assert_type(await count(3), int)
    await tokens(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


_Outcomes = tuple[Receipt | BaseException, int | BaseException]


@workflow(name="types_gather")
async def together(skus: list[str]) -> None:
    receipt, place, days = await asyncio.gather(charge("4242", Decimal(1)), reserve("a"), ship("a"))
    assert_type(receipt, Receipt)
    assert_type(place, str | None)
    assert_type(days, int)
    assert_type(await asyncio.gather(*(ship(sku) for sku in skus)), list[int])

    async with asyncio.TaskGroup() as group:
        task = group.create_task(charge("4242", Decimal(1)))
    assert_type(task.result(), Receipt)

    pending = {asyncio.create_task(ship(sku)) for sku in skus}
    done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    assert_type(done.pop().result(), int)
    for each in asyncio.as_completed([ship("a"), ship("b")]):
        assert_type(await each, int)
    assert_type(await asyncio.wait_for(reserve("a"), 10), str | None)
    assert_type(await asyncio.shield(ship("a")), int)


@workflow(name="types_gather_signals")
async def together_with_signals() -> None:
    days, receipt, _ = await asyncio.gather(ship("a"), wait_for_signal("receipt", Receipt), sleep("1h"))
    assert_type(days, int)
    assert_type(receipt, Receipt)
    assert_type(asyncio.create_task(wait_for_signal("receipt", Receipt)), asyncio.Task[Receipt])
    with create_hook(Receipt) as hook:
        assert_type(await asyncio.gather(hook, ship("a"), return_exceptions=True), _Outcomes)
    print(wait_for_signal("receipt", Receipt).amount)  # type: ignore[attr-defined]  # pyright: ignore


async def called_directly() -> None:
    with step_context() as info:
        assert_type(info, StepInfo)
        assert_type(await charge("4242", Decimal(1)), Receipt)
