"""A message that was to come later, and is not wanted any more."""

from datetime import datetime, timedelta

import pytest

from tests.support.systems import AWSSystem, System
from worldflow.engine.history import StepFailed, TimerFired
from worldflow.engine.history.failures import encode_exception
from worldflow.worlds import AWSWorld
from worldflow.worlds.messages import Delayed, FactArrived, Message

LONG, SHORT = timedelta(days=3), timedelta(minutes=5)


def timer(timer_id: str = "t1", run_id: str = "r") -> FactArrived:
    return FactArrived(run_id=run_id, fact=TimerFired(timer_id=timer_id))


def sent(system: System, delay: timedelta, *messages: Message) -> tuple[datetime, datetime]:
    """When they are due, and when they were sent."""
    now = system.clock.now()
    system.world.send([Delayed(due=now + delay, message=message) for message in messages])
    return now + delay, now


def received(system: System, until: datetime) -> list[str]:
    """The timers that come by then."""
    came: list[str] = []
    while True:
        for one in system.receive("runs"):
            assert isinstance(one.message, FactArrived)
            came.append(f"{one.message.run_id} {one.message.fact.fact_id}")
            system.acknowledge([one])
        due = system.next_due()
        if due is None or due > until:
            return came
        system.clock.forward(due)


def test_a_long_delay_is_taken_back(system: System) -> None:
    due, at = sent(system, LONG, timer())
    system.world.cancel_delayed(timer(), due, at)

    assert system.next_due() is None
    assert received(system, due + timedelta(minutes=2)) == []


@pytest.mark.parametrize("delay", [SHORT, LONG])
def test_others_still_come(system: System, delay: timedelta) -> None:
    due, at = sent(system, delay, timer("t1"), timer("t2"), timer("t1", "q"))
    system.world.cancel_delayed(timer("t1"), due, at)

    came = received(system, due + timedelta(minutes=2))
    assert {"r t2", "q t1"} <= set(came)
    # Only a long delay can be taken back everywhere.
    assert delay is SHORT or "r t1" not in came


def test_one_that_is_due_at_another_time_is_another(system: System) -> None:
    due, at = sent(system, LONG, timer())
    system.world.cancel_delayed(timer(), due + timedelta(seconds=1), at)

    assert received(system, due + timedelta(minutes=2)) == ["r t1"]


@pytest.mark.parametrize("delay", [SHORT, LONG])
def test_taking_back_what_is_not_there_is_harmless(system: System, delay: timedelta) -> None:
    now = system.clock.now()
    system.world.cancel_delayed(timer(), now + delay, now)
    due, at = sent(system, delay, timer())
    for _ in range(2):
        system.world.cancel_delayed(timer(), due, at)


def test_what_is_sent_again_after_that_comes(system: System) -> None:
    due, at = sent(system, LONG, timer())
    system.world.cancel_delayed(timer(), due, at)
    system.world.send([Delayed(due=due, message=timer())])

    assert received(system, due + timedelta(minutes=2)) == ["r t1"]


def test_a_copy_goes_with_it(system: System) -> None:
    """A redo sets the timer again; the schedule, or each of the copies, is taken back."""
    due, at = sent(system, LONG, timer())
    system.world.send([Delayed(due=due, message=timer())])
    system.world.cancel_delayed(timer(), due, at)

    assert received(system, due + timedelta(minutes=2)) == []


def test_the_watch_of_a_step_is_taken_back_though_it_is_made_anew(system: System) -> None:
    def watch() -> FactArrived:
        fact = StepFailed(step_id="s1", error=encode_exception(TimeoutError("slow")))
        return FactArrived(run_id="r", fact=fact, nonce="timeout")

    due, at = sent(system, LONG, watch())
    system.world.cancel_delayed(watch(), due, at)

    assert received(system, due + timedelta(minutes=2)) == []


# --- on AWS ---


def test_a_schedule_is_deleted_by_one_request(aws: AWSSystem) -> None:
    due, at = sent(aws, LONG, timer())
    assert len(aws.stack.schedules()) == 1
    aws.stack.requests.clear()
    aws.world.cancel_delayed(timer(), due, at)

    assert aws.stack.requests == ["scheduler.DeleteSchedule"]
    assert aws.stack.schedules() == []


def test_what_waits_in_the_queue_of_timers_stays_and_costs_nothing(aws: AWSSystem) -> None:
    due, at = sent(aws, SHORT, timer())
    aws.stack.requests.clear()
    aws.world.cancel_delayed(timer(), due, at)

    assert aws.stack.requests == []
    assert len(aws.stack.messages("timers")) == 1


def test_a_long_delay_is_taken_back_in_its_last_quarter_of_an_hour_too(aws: AWSSystem) -> None:
    due, at = sent(aws, LONG, timer())
    aws.clock.forward(due - timedelta(minutes=10))
    aws.world.cancel_delayed(timer(), due, at)

    assert aws.stack.schedules() == []


def test_one_whose_schedule_has_fired_is_gone_from_there(aws: AWSSystem) -> None:
    due, at = sent(aws, LONG, timer())
    aws.clock.forward(due - timedelta(seconds=50))
    aws.next_due()
    aws.world.cancel_delayed(timer(), due, at)

    assert aws.stack.schedules() == []
    assert len(aws.stack.messages("timers")) == 1


def test_who_takes_back_needs_no_right_to_send(aws: AWSSystem) -> None:
    due, at = sent(aws, LONG, timer())
    settings = aws.stack.settings.model_copy(update={"timer_queue_arn": None})
    AWSWorld(settings, session=aws.stack.session).cancel_delayed(timer(), due, at)

    assert aws.stack.schedules() == []


def test_without_a_scheduler_there_is_nothing_to_take_back(aws: AWSSystem) -> None:
    settings = aws.stack.settings.model_copy(update={"scheduler_group": None})
    world = AWSWorld(settings, session=aws.stack.session)
    now = aws.clock.now()
    world.send([Delayed(due=now + LONG, message=timer())])
    aws.stack.requests.clear()
    world.cancel_delayed(timer(), now + LONG, now)

    assert aws.stack.requests == []
