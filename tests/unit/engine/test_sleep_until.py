"""`sleep` until a moment."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.support import clock
from tests.support.driver import START, Drive
from worldflow import now, sleep, workflow
from worldflow.engine.history import TimerStarted


@workflow
async def until(moment: datetime) -> datetime:
    await sleep(moment)
    return now()


NOON = START + timedelta(hours=12)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))])
def test_it_waits_until_then_wherever_the_clock_is(drive: Drive, zone: timezone):
    run = drive(until, NOON.astimezone(zone))
    assert run.decisions == [TimerStarted(timer_id="t1", due=NOON, sleep=True)]
    run.fire()
    assert run.result() == NOON


@pytest.mark.parametrize("moment", [START, START - timedelta(microseconds=1), datetime(1, 1, 1, tzinfo=UTC)])
def test_what_is_past_does_not_wait(drive: Drive, moment: datetime):
    assert drive(until, moment).result() == START


def test_a_moment_just_ahead_is_never_early(drive: Drive):
    run = drive(until, START + timedelta(microseconds=5))
    run.fire()
    assert run.result() >= START + timedelta(microseconds=5)


def test_a_moment_without_a_timezone_is_refused(drive: Drive):
    @workflow
    async def naive() -> None:
        await sleep(datetime(2026, 1, 1))

    with pytest.raises(ValueError, match="has no timezone"):
        drive(naive).result()


@pytest.mark.time_of_day
async def test_outside_a_workflow_it_waits_too():
    await sleep(clock.now() - timedelta(days=1))
    with pytest.raises(ValueError, match="has no timezone"):
        await sleep(datetime(2026, 1, 1))
