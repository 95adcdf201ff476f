"""`async for` over `wait_for_signal` takes one signal after the other, and no more than it asks for."""

import asyncio

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import sleep, wait_for_signal, workflow


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


def test_signals_of_other_names_do_not_count(drive: Drive):
    run = drive(adding_up)
    run.signal("other", 50)
    run.signal("number", 10)
    assert run.result() == [10]


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


def test_what_the_loop_did_not_take_is_left_for_the_next(drive: Drive):
    @workflow
    async def twice() -> list[int]:
        got: list[int] = []
        for _ in range(2):
            async for number in wait_for_signal("number", int):
                got.append(number)
                break
        return [*got, await wait_for_signal("number")]

    run = drive(twice)
    for number in (1, 2, 3):
        run.signal("number", number)
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
