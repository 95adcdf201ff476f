"""As in asyncio, a delay of infinite length never ends, and starts no timer."""

import asyncio
import math

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import wait_for_signal, workflow


def test_a_timeout_that_never_comes(drive: Drive):
    @workflow
    async def patient() -> str:
        async with asyncio.timeout(math.inf):
            return await wait_for_signal("approval", str)

    run = drive(patient)
    assert run.decided == []
    run.signal("approval", "yes")
    assert run.result() == "yes"
    assert run.all_decided == ["RunCompleted"]


def test_a_wait_for_without_end(drive: Drive):
    @workflow
    async def patient() -> str:
        done, pending = await asyncio.wait([asyncio.create_task(work())], timeout=math.inf)
        return await asyncio.wait_for(work(), math.inf) + f"{len(done)} {len(pending)}"

    run = drive(patient)
    run.complete("s1", "")
    run.complete("s2", "done: ")
    assert run.result() == "done: 1 0"


def test_a_sleep_without_end_is_cancelled(drive: Drive):
    @workflow
    async def sleeps() -> str:
        sleeper = asyncio.create_task(asyncio.sleep(math.inf))
        await wait_for_signal("wake")
        sleeper.cancel()
        return "awake"

    run = drive(sleeps)
    assert run.decided == []
    run.signal("wake")
    assert run.result() == "awake"


def test_a_timeout_that_is_set_after_all(drive: Drive):
    @workflow
    async def patient() -> str:
        try:
            async with asyncio.timeout(math.inf) as limit:
                await wait_for_signal("hurry")
                limit.reschedule(asyncio.get_running_loop().time() + 5)
                await wait_for_signal("never")
        except TimeoutError:
            return "late"
        return "in time"

    run = drive(patient)
    run.signal("hurry")
    run.fire()
    assert run.result() == "late"
