"""An update is a signal that is answered: by the handler that the workflow has for its name."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import (
    InvalidInputError,
    OutsideError,
    SerializationError,
    all_handlers_finished,
    on_update,
    sleep,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import UpdateReceived


class Item(BaseModel):
    sku: str
    quantity: int = 1


class Sold(Exception):
    def __init__(self, sku: str) -> None:
        super().__init__(f"{sku} is sold")
        self.sku = sku


@workflow
async def cart() -> list[str]:
    items: list[str] = []

    @on_update("add")
    def add(item: Item, note: str = "") -> int:
        if item.sku == "gold":
            raise Sold(item.sku)
        items.append(item.sku + note)
        return len(items)

    @on_update("pack")
    async def pack(box: int) -> str:
        await work(box)
        items.append(f"box {box}")
        return items[-1]

    await wait_for_signal("close")
    return items


def test_what_the_handler_returns_is_the_answer(drive: Drive):
    run = drive(cart)
    assert run.reply(run.update("add", {"sku": "tea"})) == 1
    assert run.reply(run.update("add", {"sku": "milk", "quantity": 2}, "!")) == 2
    run.signal("close")
    assert run.result() == ["tea", "milk!"]


def test_what_the_handler_raises_is_the_answer_and_harms_no_run(drive: Drive):
    run = drive(cart)
    with pytest.raises(Sold, match="gold is sold") as told:
        run.reply(run.update("add", {"sku": "gold"}))
    assert told.value.sku == "gold"
    assert not run.ended
    assert run.reply(run.update("add", {"sku": "tea"})) == 1


@pytest.mark.parametrize(
    "args", [(), ({"quantity": 2},), ({"sku": "tea"}, 5), ("tea",), ({"sku": "a"}, "b", "c"), (None,)]
)
def test_arguments_that_do_not_fit_are_refused_without_the_handler(drive: Drive, args: tuple[Any, ...]):
    run = drive(cart)
    with pytest.raises(InvalidInputError):
        run.reply(run.update("add", *args))
    run.signal("close")
    assert run.result() == []


def test_an_async_handler_may_call_steps(drive: Drive):
    run = drive(cart)
    packing = run.update("pack", 1)
    assert not run.replied(packing)
    run.complete(work)
    assert run.reply(packing) == "box 1"


def test_several_run_at_a_time_and_each_gets_its_own_answer(drive: Drive):
    run = drive(cart)
    first, second = run.update("pack", 1), run.update("pack", 2)
    run.complete("s2")
    assert run.reply(second) == "box 2"
    assert not run.replied(first)
    run.complete("s1")
    assert run.reply(first) == "box 1"
    run.signal("close")
    assert run.result() == ["box 2", "box 1"]


def test_the_error_of_a_step_is_the_callers(drive: Drive):
    run = drive(cart)
    packing = run.update("pack", 1)
    run.fail(work, LookupError("no box"))
    with pytest.raises(LookupError, match="no box"):
        run.reply(packing)


def test_one_that_is_sent_twice_is_done_once(drive: Drive):
    run = drive(cart)
    fact = UpdateReceived(update_id="u", name="add", args=[{"sku": "tea"}])
    run.feed(fact)
    assert not run.state.accepts(fact)


def test_those_that_come_before_their_handler_wait_for_it_in_order(drive: Drive):
    @workflow
    async def late() -> list[int]:
        await sleep(10)
        got: list[int] = []

        @on_update("n")
        def n(value: int) -> int:
            got.append(value)
            return value * 10

        await wait_for_signal("close")
        return got

    run = drive(late)
    sent = [run.update("n", value) for value in (1, 2, 3)]
    other = run.update("other")
    assert not any(map(run.replied, sent))
    run.fire()
    assert [run.reply(fact) for fact in sent] == [10, 20, 30]
    assert not run.replied(other)
    run.signal("close")
    assert run.result() == [1, 2, 3]


def test_a_handler_may_let_the_workflow_end(drive: Drive):
    @workflow
    async def until_enough() -> int:
        total, enough = 0, asyncio.Event()

        @on_update("add")
        def add(value: int) -> int:
            nonlocal total
            total += value
            if total >= 10:
                enough.set()
            return total

        await enough.wait()
        return total

    run = drive(until_enough)
    run.update("add", 4)
    last = run.update("add", 6)
    assert run.decided == ["Replied update/update-2", "RunCompleted"]
    assert run.reply(last) == run.result() == 10


def test_a_later_handler_takes_the_place_of_one_before(drive: Drive):
    @workflow
    async def twice() -> None:
        on_update("n")(lambda: 1)
        await sleep(10)
        on_update("n")(lambda: 2)
        await sleep(10)

    run = drive(twice)
    assert run.reply(run.update("n")) == 1
    run.fire()
    assert run.reply(run.update("n")) == 2


def test_a_result_that_json_cannot_carry_is_the_callers_error(drive: Drive):
    @workflow
    async def odd() -> None:
        on_update("n")(lambda: object())
        await sleep(10)

    run = drive(odd)
    with pytest.raises(SerializationError):
        run.reply(run.update("n"))
    assert not run.ended


def test_a_handler_that_cancels_itself_answers_too(drive: Drive):
    @workflow
    async def odd() -> str:
        @on_update("n")
        async def n() -> None:
            raise asyncio.CancelledError

        await sleep(10)
        return "slept"

    run = drive(odd)
    assert run.replied(run.update("n"))
    run.fire()
    assert run.result() == "slept"


def test_handlers_go_on_while_the_workflow_cleans_up(drive: Drive):
    @workflow
    async def cleaning() -> None:
        on_update("n")(lambda: "still here")
        try:
            await sleep(10)
        finally:
            await work()

    run = drive(cleaning)
    run.cancel()
    assert run.reply(run.update("n")) == "still here"
    run.complete(work)
    assert run.decided == ["RunCancelled"]


def test_one_that_is_open_at_the_end_has_no_answer(drive: Drive):
    run = drive(cart)
    packing = run.update("pack", 1)
    run.signal("close")
    assert run.ended
    assert not run.replied(packing)


def test_the_workflow_waits_for_its_handlers(drive: Drive):
    @workflow
    async def waits_for_handlers() -> None:
        @on_update("n")
        async def n() -> str:
            await work()
            await all_handlers_finished()  # which does not count the one that asks
            return "packed"

        await wait_for_signal("close")
        await all_handlers_finished()

    run = drive(waits_for_handlers)
    packing = run.update("n")
    run.signal("close")
    assert not run.ended
    run.complete(work)
    assert run.reply(packing) == "packed" and run.ended


def test_handlers_that_wait_for_each_other_finish(drive: Drive):
    @workflow
    async def waits_in_its_handlers() -> None:
        @on_update("n")
        async def n() -> str:
            await work()
            await all_handlers_finished()
            return "packed"

        await wait_for_signal("close")
        await all_handlers_finished()

    run = drive(waits_in_its_handlers)
    packings = [run.update("n") for _ in range(2)]
    run.signal("close")
    run.complete(work)
    assert not run.replied(packings[0]), "the other still works"
    run.complete(work)
    assert [run.reply(packing) for packing in packings] == ["packed", "packed"] and run.ended


def test_outside_a_workflow_there_are_no_handlers():
    with pytest.raises(OutsideError):
        on_update("n")
