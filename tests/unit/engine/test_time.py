"""Time inside a workflow is that of the fact being applied, and stands still in between."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.driver import START, Drive
from tests.support.steps import work
from worldflow import FatalError, OutsideError, now, sleep, workflow, workflow_info


def test_now_is_the_time_of_the_fact(drive: Drive):
    @workflow
    async def clock() -> list[datetime]:
        times = [now()]
        await work()
        times.append(now())
        await sleep("1h")
        return [*times, now()]

    run = drive(clock)
    run.clock += timedelta(seconds=5)
    run.complete("s1")
    run.fire()
    after = START + timedelta(seconds=5)
    assert run.result() == [START, after, after + timedelta(hours=1)]


def test_time_stands_still_between_facts(drive: Drive):
    @workflow
    async def busy() -> bool:
        loop, before = asyncio.get_running_loop(), now()
        clock = loop.time()
        for _ in range(1000):
            await asyncio.sleep(0)
        return now() == before and loop.time() == clock

    assert drive(busy).result() is True


def test_the_clock_of_the_loop_is_that_of_now(drive: Drive):
    @workflow
    async def clocks() -> float:
        await sleep("90s")
        return asyncio.get_running_loop().time() - now().timestamp()

    run = drive(clocks)
    run.fire()
    assert run.result() == 0


def test_a_late_timer_shows_how_late_it_is(drive: Drive):
    @workflow
    async def late() -> float:
        before = now()
        await sleep(10)
        return (now() - before).total_seconds()

    run = drive(late)
    run.clock += timedelta(hours=1)
    run.fire()
    assert run.result() == 3600


def test_when_the_run_started(drive: Drive):
    @workflow
    async def info() -> list[str]:
        await sleep("1d")
        return [workflow_info().run_id, workflow_info().workflow_name, workflow_info().started_at.isoformat()]

    run = drive(info)
    run.fire()
    assert run.result() == ["run-1", "info", START.isoformat()]


def test_outside_a_workflow_there_is_no_such_time():
    with pytest.raises(OutsideError, match=r"now\(\)"):
        now()


async def test_in_another_event_loop_there_is_no_such_time_either():
    with pytest.raises(OutsideError, match=r"workflow_info\(\)"):
        workflow_info()


@pytest.mark.parametrize(
    ("delay", "milliseconds"),
    [
        (1, 1000),
        (0.0011, 2),
        (0.001, 1),
        (0.0001, 1),
        (59.9999, 60_000),
        (0.1 + 0.2, 300),
        (86_400 * 365, 31_536_000_000),
    ],
)
def test_a_delay_rounds_up_to_the_millisecond(drive: Drive, delay: float, milliseconds: int):
    @workflow
    async def nap() -> None:
        await asyncio.sleep(delay)

    run = drive(nap)
    assert run.state.timers["t1"].due - START == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize("micros", [0, 1, 123_457, 999_999])
def test_a_timer_is_never_early(drive: Drive, micros: int):
    @workflow
    async def naps() -> float:
        await work()
        before = now()
        await sleep(0.25)
        return (now() - before).total_seconds()

    run = drive(naps)
    run.clock = datetime(2026, 7, 31, 23, 59, 59, micros, UTC)
    run.complete("s1")
    run.fire()
    assert 0.25 <= run.result() < 0.2511


def test_timers_of_one_moment_fire_in_the_order_of_their_facts(drive: Drive):
    @workflow
    async def naps() -> list[int]:
        seen = []

        async def nap(n: int) -> None:
            await sleep(10)
            seen.append(n)

        await asyncio.gather(*(nap(n) for n in range(3)))
        return seen

    run = drive(naps)
    for timer_id in ("t2", "t3", "t1"):
        run.fire(timer_id)
    assert run.result() == [1, 2, 0]


@pytest.mark.parametrize("delay", [0, -1, -0.001])
def test_no_time_at_all_starts_no_timer(drive: Drive, delay: float):
    @workflow
    async def nap() -> str:
        await asyncio.sleep(delay)
        return "awake"

    run = drive(nap)
    assert run.decided == ["RunCompleted"]


@pytest.mark.parametrize("delay", [1e300, 400_000_000_000])
def test_a_delay_that_ends_after_the_calendar_fails_the_run(drive: Drive, delay: float):
    @workflow
    async def too_long() -> None:
        await asyncio.sleep(delay)

    run = drive(too_long)
    with pytest.raises(FatalError, match="9999"):
        run.result()


def test_a_delay_that_is_not_a_number_fails_the_run(drive: Drive):
    @workflow
    async def nonsense() -> None:
        await asyncio.sleep(float("nan"))

    with pytest.raises(ValueError, match=r"(?i)nan"):
        drive(nonsense).result()


@pytest.mark.parametrize("duration", ["1h30m", 5400, 5400.0, timedelta(minutes=90), "90m", "1.5h"])
def test_durations_as_people_write_them(drive: Drive, duration):
    @workflow
    async def nap() -> None:
        await sleep(duration)

    assert drive(nap).state.timers["t1"].due - START == timedelta(minutes=90)


@pytest.mark.parametrize("duration", ["soon", "", "10", "-5s", -1, None, True, float("nan")])
def test_what_is_not_a_duration_fails_the_run(drive: Drive, duration):
    @workflow
    async def nap() -> None:
        await sleep(duration)

    with pytest.raises(ValueError, match="is not a duration"):
        drive(nap).result()
