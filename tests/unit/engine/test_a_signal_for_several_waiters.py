import asyncio

import pytest

from tests.support.driver import Drive
from worldflow import wait_for_signal, workflow


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
