import asyncio

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import workflow


def test_first_completed(drive: Drive):
    @workflow
    async def race() -> list[str]:
        tasks = [asyncio.create_task(work(n), name=f"task {n}") for n in range(4)]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        return [task.get_name() for task in done] + sorted(task.get_name() for task in pending)

    run = drive(race)
    run.complete("s3")
    assert run.result() == ["task 2", "task 0", "task 1", "task 3"]


def test_first_completed_in_a_loop_until_all_are_done(drive: Drive):
    @workflow
    async def collect() -> list[str]:
        pending = {asyncio.create_task(work(n)) for n in range(30)}
        seen = []
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                seen.append(task.result())
                await work(f"after {task.result()}")
        return seen

    run = drive(collect)
    order = []
    while not run.ended:
        step_id = run.open_steps()[len(order) * 7 % len(run.open_steps())]
        order.append(step_id)
        run.complete(step_id, step_id)
    first = [step_id for step_id in order if int(step_id[1:]) <= 30]
    assert sorted(run.result()) == sorted(first)


def test_first_exception(drive: Drive):
    @workflow
    async def careful() -> list[int]:
        tasks = [asyncio.create_task(work(n)) for n in range(3)]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        return [len(done), len(pending)]

    run = drive(careful)
    run.complete("s1")
    run.fail("s3", ValueError())
    assert run.result() == [2, 1]


def test_a_timeout_leaves_what_is_pending_alone(drive: Drive):
    @workflow
    async def patient() -> int:
        tasks = [asyncio.create_task(work(n)) for n in range(3)]
        done, pending = await asyncio.wait(tasks, timeout=60)
        return len(done) * 10 + sum(await asyncio.gather(*pending))

    run = drive(patient)
    run.complete("s2", 1)
    run.fire()
    assert run.decided == []
    run.complete("s1", 1)
    run.complete("s3", 2)
    assert run.result() == 13


def test_the_timer_is_cancelled_when_all_are_done(drive: Drive):
    @workflow
    async def quick() -> str:
        await asyncio.wait([asyncio.create_task(work())], timeout=60)
        return "in time"

    run = drive(quick)
    run.complete("s1")
    assert run.decided == ["TimerCancelled t1", "RunCompleted"]


def test_pending_tasks_are_cancelled_in_the_same_order_on_every_replay(drive: Drive):
    @workflow
    async def many() -> None:
        tasks = [asyncio.create_task(work(n)) for n in range(200)]
        _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.wait(pending)

    run = drive(many)
    run.complete("s100")
    assert sorted(run.decided) == sorted([f"StepAbandoned s{n}" for n in range(1, 201) if n != 100] + ["RunCompleted"])
