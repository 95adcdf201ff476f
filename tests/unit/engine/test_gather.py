import asyncio

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import sleep, workflow


def test_results_come_in_the_order_of_the_arguments(drive: Drive):
    @workflow
    async def fan_out() -> list[str]:
        return await asyncio.gather(*(work(n) for n in range(4)))

    run = drive(fan_out)
    assert run.decided == [f"StepScheduled s{n} work" for n in (1, 2, 3, 4)]
    for step_id in ("s3", "s1", "s4", "s2"):
        run.complete(step_id, f"of {step_id}")
    assert run.result() == ["of s1", "of s2", "of s3", "of s4"]


def test_the_first_exception_is_raised_and_the_others_go_on(drive: Drive):
    @workflow
    async def fan_out() -> list[str]:
        first, second = asyncio.ensure_future(work(1)), asyncio.ensure_future(work(2))
        try:
            await asyncio.gather(first, second)
        except ValueError as error:
            return [str(error), await second]
        return []

    run = drive(fan_out)
    run.fail("s1", ValueError("no"))
    assert run.decided == []
    run.complete("s2", "yes")
    assert run.result() == ["no", "yes"]


def test_exceptions_among_the_results(drive: Drive):
    @workflow
    async def fan_out() -> list[str]:
        results = await asyncio.gather(*(work(n) for n in range(3)), return_exceptions=True)
        return [repr(result) for result in results]

    run = drive(fan_out)
    run.fail("s2", KeyError("b"))
    run.complete("s3", 3)
    run.fail("s1", ValueError("a"))
    assert run.result() == ["ValueError('a')", "KeyError('b')", "3"]


def test_the_same_awaitable_twice_is_one_call(drive: Drive):
    @workflow
    async def twice() -> list[int]:
        call = work()
        return await asyncio.gather(call, call)

    run = drive(twice)
    assert run.decided == ["StepScheduled s1 work"]
    run.complete("s1", 7)
    assert run.result() == [7, 7]


def test_cancelling_a_gather_abandons_its_steps_in_order(drive: Drive):
    @workflow
    async def impatient() -> str:
        try:
            async with asyncio.timeout(10):
                await asyncio.gather(*(work(n) for n in range(5)))
        except TimeoutError:
            return "gave up"
        return "done"

    run = drive(impatient)
    run.complete("s2")
    run.fire()
    assert run.decided == [*(f"StepAbandoned s{n}" for n in (1, 3, 4, 5)), "RunCompleted"]
    assert run.result() == "gave up"


def test_gathers_of_gathers_that_are_waited_for_as_a_set(drive: Drive):
    async def pair(n: int) -> list[int]:
        return await asyncio.gather(work(n), sleep(100 + n))

    @workflow
    async def nested() -> str:
        gathers = [asyncio.gather(pair(n), pair(n + 50)) for n in range(10)]
        done, pending = await asyncio.wait(gathers, timeout=5)
        for gathering in pending:
            gathering.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        return f"{len(done)} {len(pending)}"

    run = drive(nested)
    run.advance(5)
    assert run.result() == "0 10"
