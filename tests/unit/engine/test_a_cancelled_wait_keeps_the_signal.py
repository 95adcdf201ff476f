import asyncio

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import wait_for_signal, workflow


def test_a_signal_after_the_cancelled_wait_goes_to_the_next(drive: Drive):
    @workflow
    async def retrying() -> list[str]:
        seen = []
        for _ in range(3):
            try:
                async with asyncio.timeout(10):
                    seen.append(await wait_for_signal("answer"))
                    break
            except TimeoutError:
                seen.append("nothing")
        return seen

    run = drive(retrying)
    run.advance(20)
    run.signal("answer", "yes")
    assert run.result() == ["nothing", "nothing", "yes"]


def test_a_signal_after_its_waiting_task_was_cancelled(drive: Drive):
    @workflow
    async def change_of_mind() -> list[str]:
        listener = asyncio.create_task(wait_for_signal("answer"))
        await work()
        listener.cancel()
        results = await asyncio.gather(listener, return_exceptions=True)
        kept = [await wait_for_signal("answer"), await wait_for_signal("answer")]
        return [type(results[0]).__name__, *kept]

    run = drive(change_of_mind)
    run.complete("s1")
    run.signal("answer", "first")
    run.signal("answer", "second")
    assert run.result() == ["CancelledError", "first", "second"]


def test_a_wait_in_wait_for(drive: Drive):
    @workflow
    async def patient() -> str:
        try:
            await asyncio.wait_for(wait_for_signal("answer"), 10)
        except TimeoutError:
            return "late: " + await wait_for_signal("answer")
        return "in time"

    run = drive(patient)
    run.fire()
    run.signal("answer", "yes")
    assert run.result() == "late: yes"
