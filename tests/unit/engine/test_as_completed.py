import asyncio
import sys

import pytest

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import workflow


async def doubled(n: int) -> int:
    return 2 * await work(n)


@pytest.mark.parametrize("call", [work, doubled], ids=["steps", "coroutines"])
def test_results_come_as_they_are_ready(drive: Drive, call):
    @workflow
    async def first_come() -> list[int]:
        return [await earliest for earliest in asyncio.as_completed([call(n) for n in range(50)])]

    run = drive(first_come)
    assert run.decided == [f"StepScheduled s{n} work" for n in range(1, 51)]
    assert [run.input_of(f"s{n}")["item"] for n in range(1, 51)] == list(range(50))
    order = [n * 7 % 50 + 1 for n in range(50)]
    for n in order:
        run.complete(f"s{n}", n)
    assert run.result() == [n if call is work else 2 * n for n in order]


def test_a_timeout(drive: Drive):
    @workflow
    async def hurry() -> list[str]:
        seen = []
        try:
            for earliest in asyncio.as_completed([work(n) for n in range(3)], timeout=10):
                seen.append(await earliest)
        except TimeoutError:
            seen.append("too late")
        return seen

    run = drive(hurry)
    run.complete("s2", "two")
    run.fire()
    assert run.result() == ["two", "too late"]


def test_the_same_coroutine_twice_is_one(drive: Drive):
    @workflow
    async def twice() -> int:
        call = doubled(1)
        return sum([await earliest for earliest in asyncio.as_completed([call, call])])

    run = drive(twice)
    run.complete("s1", 4)
    assert run.result() == 8


@pytest.mark.skipif(sys.version_info < (3, 13), reason="new in Python 3.13")
def test_async_for_gives_the_tasks_themselves(drive: Drive):
    @workflow
    async def first_come() -> list[bool]:
        tasks = [asyncio.create_task(work(n)) for n in range(3)]
        return [task in tasks async for task in asyncio.as_completed(tasks)]

    run = drive(first_come)
    for step_id in ("s3", "s1", "s2"):
        run.complete(step_id)
    assert run.result() == [True, True, True]


async def test_outside_a_workflow_it_is_asyncio_s_own():
    async def one() -> int:
        return 1

    assert [await earliest for earliest in asyncio.as_completed([one(), one()])] == [1, 1]
