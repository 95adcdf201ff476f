"""A map in pages goes on in another process, on every World."""

from typing import Any

from tests.support.systems import System, finish, start
from worldflow import FatalError, map_steps, sleep, step, workflow


@step
async def paged_reading(n: int) -> int:
    if n == 4:
        raise FatalError("no 4")
    return n


@workflow
async def slow_reading(n: int) -> int:
    await sleep("1h")
    return await paged_reading(n)


@workflow
async def maps_slowly_in_pages(numbers: list[int]) -> list[Any]:
    found = await map_steps(slow_reading, numbers, page_size=2, pages=2, tolerated_failures=1)
    return [found.total, found.succeeded, found.pages, [[each.index, str(each.error)] for each in found.failures]]


def test_it_goes_on_after_a_restart(system: System) -> None:
    start(system, "r", maps_slowly_in_pages, numbers=[1, 2, 3, 4, 5])
    system.settle()
    system.restart()
    record = finish(system, "r")
    assert record.result == [5, 4, ["r~c1", "r~c2", "r~c3"], [[3, "no 4"]]], record.error
    assert record.status_text == "5 of 5 items, 1 failed"
    pages = [system.world.read_run(f"r~c{n}") for n in (1, 2, 3)]
    assert [page and page.status for page in pages] == ["completed"] * 3
