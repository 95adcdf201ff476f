"""asyncio's own locks, events and queues, between the tasks of one workflow."""

import asyncio

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import sleep, wait_for_signal, workflow


def test_a_semaphore_bounds_how_many_steps_are_open(drive: Drive):
    @workflow
    async def bounded() -> list[int]:
        semaphore = asyncio.Semaphore(3)

        async def one(n: int) -> int:
            async with semaphore:
                return await work(n)

        return await asyncio.gather(*(one(n) for n in range(10)))

    run = drive(bounded)
    done = 0
    while not run.ended:
        assert len(run.open_steps()) == min(3, 10 - done)
        run.complete(run.open_steps()[-1], done)
        done += 1
    assert sorted(run.result()) == list(range(10))
    assert done == 10


def test_a_lock_lets_one_in_at_a_time_in_order(drive: Drive):
    @workflow
    async def exclusive() -> list[int]:
        lock, seen = asyncio.Lock(), []

        async def one(n: int) -> None:
            async with lock:
                await work(n)
                seen.append(n)

        await asyncio.gather(*(one(n) for n in range(4)))
        return seen

    run = drive(exclusive)
    while not run.ended:
        (only,) = run.open_steps()
        run.complete(only)
    assert run.result() == [0, 1, 2, 3]


def test_an_event_wakes_all_that_wait(drive: Drive):
    @workflow
    async def starting_gun() -> list[int]:
        event, seen = asyncio.Event(), []

        async def runner(n: int) -> None:
            await event.wait()
            seen.append(n)

        async with asyncio.TaskGroup() as group:
            for n in range(5):
                group.create_task(runner(n))
            await wait_for_signal("go")
            event.set()
        return seen

    run = drive(starting_gun)
    run.signal("go")
    assert run.result() == [0, 1, 2, 3, 4]


def test_a_queue_between_a_producer_and_consumers(drive: Drive):
    @workflow
    async def pipeline() -> list[str]:
        queue: asyncio.Queue[int] = asyncio.Queue(maxsize=2)
        results = []

        async def consume(name: str) -> None:
            while True:
                item = await queue.get()
                results.append(f"{name} {await work(item)}")
                queue.task_done()

        consumers = [asyncio.create_task(consume(name)) for name in "ab"]
        for n in range(6):
            await queue.put(n)
        await queue.join()
        for consumer in consumers:
            consumer.cancel()
        return results

    run = drive(pipeline)
    while not run.ended:
        step_id = run.open_steps()[-1]
        run.complete(step_id, run.input_of(step_id)["item"])
    assert sorted(int(line[2:]) for line in run.result()) == list(range(6))


def test_a_condition(drive: Drive):
    @workflow
    async def stock_taking() -> int:
        condition, stock = asyncio.Condition(), []

        async def refill() -> None:
            for n in range(3):
                await sleep(10)
                async with condition:
                    stock.append(n)
                    condition.notify_all()

        task = asyncio.create_task(refill())
        async with condition:
            await condition.wait_for(lambda: len(stock) >= 2)
        task.cancel()
        return len(stock)

    run = drive(stock_taking)
    run.fire()
    assert not run.ended
    run.fire()
    assert run.result() == 2


def test_a_cancelled_waiter_of_a_semaphore_gives_its_place_on(drive: Drive):
    @workflow
    async def bounded() -> list[str]:
        semaphore = asyncio.Semaphore(1)

        async def one(n: int) -> str:
            async with semaphore:
                return await work(n)

        tasks = [asyncio.create_task(one(n)) for n in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        return [str(result) for result in await asyncio.gather(*tasks, return_exceptions=True)]

    run = drive(bounded)
    run.complete("s1", "first")
    run.complete("s2", "third")
    assert run.result() == ["first", "", "third"]
