"""Signals: kept until somebody waits, each for one waiter, in order."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import pytest
from pydantic import BaseModel

from tests.support.driver import START, Drive
from tests.support.steps import work
from worldflow import OutsideError, sleep, wait_for_signal, workflow


def test_several_are_kept_in_order(drive: Drive):
    @workflow
    async def slow_to_listen() -> list[int]:
        await work()
        return [await wait_for_signal("n") for _ in range(4)]

    run = drive(slow_to_listen)
    for n in range(3):
        run.signal("n", n)
    run.complete("s1")
    assert not run.ended
    run.signal("n", 3)
    assert run.result() == [0, 1, 2, 3]


def test_names_are_kept_apart(drive: Drive):
    @workflow
    async def choosy() -> list[str]:
        await work()
        return [await wait_for_signal("b"), await wait_for_signal("a")]

    run = drive(choosy)
    run.signal("a", "for a")
    run.signal("b", "for b")
    run.complete("s1")
    assert run.result() == ["for b", "for a"]


def test_each_signal_wakes_one_waiter_in_the_order_of_their_waits(drive: Drive):
    @workflow
    async def desks() -> list[str]:
        async def desk(name: str) -> str:
            return f"{name}: {await wait_for_signal('customer')}"

        return await asyncio.gather(desk("a"), desk("b"), desk("c"))

    run = drive(desks)
    for customer in ("x", "y", "z"):
        run.signal("customer", customer)
    assert run.result() == ["a: x", "b: y", "c: z"]


def test_a_waiter_that_was_cancelled_is_passed_over(drive: Drive):
    @workflow
    async def desks() -> list[str]:
        async def desk(name: str, patience: float) -> str:
            try:
                async with asyncio.timeout(patience):
                    return f"{name}: {await wait_for_signal('customer')}"
            except TimeoutError:
                return f"{name}: closed"

        return await asyncio.gather(desk("a", 10), desk("b", 20), desk("c", 10))

    run = drive(desks)
    run.advance(15)
    run.signal("customer", "x")
    assert run.result() == ["a: closed", "b: x", "c: closed"]


@pytest.mark.parametrize("first", ["signal", "timer"])
def test_a_signal_at_the_moment_of_a_timeout_is_never_lost(drive: Drive, first: str):
    @workflow
    async def close_call() -> list[str]:
        try:
            async with asyncio.timeout(10):
                return ["in time", await wait_for_signal("answer")]
        except TimeoutError:
            return ["again", await wait_for_signal("answer")]

    run = drive(close_call)
    run.clock = run.state.timers["t1"].due
    if first == "signal":
        run.signal("answer", "yes")
    else:
        run.fire()
        run.signal("answer", "yes")
    assert run.result() == ["in time" if first == "signal" else "again", "yes"]


@workflow
async def adding_up() -> list[int]:
    got: list[int] = []
    async for number in wait_for_signal("number", int):
        got.append(number)
        if sum(got) >= 10:
            break
    return got


def test_one_after_the_other(drive: Drive):
    run = drive(adding_up)
    for number in (1, 2, 3):
        assert run.signal("number", number) == []
    run.signal("number", 4)
    assert run.result() == [1, 2, 3, 4]


def test_those_that_came_while_the_body_was_busy_come_next(drive: Drive):
    @workflow
    async def busy() -> list[int]:
        got: list[int] = []
        async for number in wait_for_signal("number", int):
            got.append(number)
            await work(number)
            if len(got) == 3:
                break
        return got

    run = drive(busy)
    for number in (1, 2, 3):
        run.signal("number", number)
    assert run.open_steps() == ["s1"]
    run.complete(work)
    run.complete(work)
    run.complete(work)
    assert run.result() == [1, 2, 3]


def test_two_loops_take_turns(drive: Drive):
    @workflow
    async def shared() -> list[list[int]]:
        async def take() -> list[int]:
            got = []
            async for number in wait_for_signal("number", int):
                got.append(number)
                if len(got) == 2:
                    break
            return got

        return await asyncio.gather(take(), take())

    run = drive(shared)
    for number in (1, 2, 3, 4):
        run.signal("number", number)
    assert run.result() == [[1, 3], [2, 4]]


def test_a_loop_that_is_timed_out_loses_nothing(drive: Drive):
    @workflow
    async def until_then() -> list[int]:
        got: list[int] = []
        try:
            async with asyncio.timeout(60):
                async for number in wait_for_signal("number", int):
                    got.append(number)
                    await sleep(50)
        except TimeoutError:
            pass
        return [*got, await wait_for_signal("number")]

    run = drive(until_then)
    run.signal("number", 1)
    run.advance(55)
    run.signal("number", 2)  # taken by the loop, which then sleeps
    run.signal("number", 3)
    run.advance(10)
    assert run.result() == [1, 2, 3]


def test_the_one_awaitable_can_be_looped_over_more_than_once(drive: Drive):
    @workflow
    async def again() -> list[int]:
        numbers, got = wait_for_signal("number", int), []
        for _ in range(2):
            async for number in numbers:
                got.append(number)
                break
        return got

    run = drive(again)
    run.signal("number", 1)
    run.signal("number", 2)
    assert run.result() == [1, 2]


class Approval(BaseModel):
    by: str
    limit: Decimal = Decimal(0)


@dataclass
class Move:
    to: tuple[int, int]


@pytest.mark.parametrize(
    ("type_", "sent", "read"),
    [
        (Approval, {"by": "me", "limit": "9.90"}, Approval(by="me", limit=Decimal("9.90"))),
        (Move, {"to": [1, 2]}, Move((1, 2))),
        (list[Approval], [{"by": "a"}], [Approval(by="a")]),
        (datetime, START.isoformat(), START),
        (Approval | None, None, None),
        (str, "text", "text"),
    ],
)
def test_a_signal_is_read_as_the_type_asked_for(drive: Drive, type_, sent, read):
    @workflow
    async def listen() -> bool:
        return await wait_for_signal("it", type_) == read

    run = drive(listen)
    run.signal("it", sent)
    assert run.result() is True


def test_without_a_type_it_is_the_json_that_was_sent(drive: Drive):
    @workflow
    async def listen() -> dict:
        return {"got": await wait_for_signal("it")}

    run = drive(listen)
    run.signal("it", {"by": ["me", 1.5, None, True]})
    assert run.result() == {"got": {"by": ["me", 1.5, None, True]}}


def test_outside_a_workflow():
    with pytest.raises(OutsideError, match="wait_for_signal"):
        asyncio.run(wait_for_signal("it"))
