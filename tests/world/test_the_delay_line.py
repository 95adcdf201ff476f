"""The delay line on AWS: within 15 minutes the queue of timers, beyond them a schedule and nothing else."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support import workflows
from tests.support.systems import AWSSystem, finish, skip, start
from worldflow import ConfigurationError, WorldflowError
from worldflow.engine.history import SignalReceived, TimerFired
from worldflow.worlds import AWSWorld
from worldflow.worlds.messages import Delayed, FactArrived, Message, StepTask, load_message

pytestmark = pytest.mark.time_of_day


def timer(run_id: str = "r", timer_id: str = "t1") -> FactArrived:
    return FactArrived(run_id=run_id, fact=TimerFired(timer_id=timer_id))


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        (timedelta(milliseconds=1), 1),
        (timedelta(seconds=1.2), 2),
        (timedelta(seconds=59.9), 60),
        (timedelta(minutes=15) - timedelta(milliseconds=500), 900),
    ],
    ids=str,
)
def test_up_to_15_minutes_the_queue_delays_the_message_rounded_up(
    aws: AWSSystem, delay: timedelta, seconds: int
) -> None:
    sent = aws.clock.timestamp()
    due = aws.clock.now() + delay + timedelta(milliseconds=20)
    aws.world.send([Delayed(due=due, message=timer())])

    (message,) = aws.stack.messages("timers")
    assert message.delayed_until / 1_000 - sent == pytest.approx(seconds, abs=0.5)
    assert message.delayed_until / 1_000 >= due.timestamp() - 0.001
    assert load_message(message.body) == Delayed(due=due, message=timer())
    assert aws.stack.requests == ["sqs.SendMessageBatch"]


def test_thirty_days_are_one_schedule_and_nothing_else(aws: AWSSystem) -> None:
    due = aws.clock.now().replace(second=45, microsecond=678_000) + timedelta(days=30)
    aws.world.send([Delayed(due=due, message=timer())])

    assert aws.stack.requests == ["scheduler.CreateSchedule"]
    assert [queue for queue in aws.stack.arns if aws.stack.messages(queue)] == []
    (schedule,) = aws.stack.schedules()
    assert schedule["ScheduleExpression"] == f"at({due - timedelta(minutes=1):%Y-%m-%dT%H:%M:45})"
    assert schedule["ScheduleExpressionTimezone"] == "UTC"
    assert schedule["ActionAfterCompletion"] == "DELETE"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["GroupName"] == aws.stack.resources.scheduler_group
    assert schedule["Target"]["Arn"] == aws.stack.resources.timer_queue_arn
    assert schedule["Target"]["RoleArn"] == aws.stack.resources.scheduler_role_arn
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": aws.stack.resources.timer_dead_letter_arn}
    assert load_message(schedule["Target"]["Input"]) == Delayed(due=due, message=timer())


def test_a_moment_in_another_time_zone_is_scheduled_in_utc(aws: AWSSystem) -> None:
    due = aws.clock.now() + timedelta(days=30)
    for moment in (due, due.astimezone(ZoneInfo("Asia/Kolkata"))):
        aws.world.send([Delayed(due=moment, message=timer())])

    assert [schedule["ScheduleExpression"] for schedule in aws.stack.schedules()] == [
        f"at({due - timedelta(minutes=1):%Y-%m-%dT%H:%M:%S})"
    ]


@pytest.mark.parametrize("run_id", ["r", "x" * 100, "a:b=c@d+e~2", "naïve 🙂"])
def test_the_name_of_a_schedule_is_one_that_scheduler_takes(aws: AWSSystem, run_id: str) -> None:
    aws.world.send([Delayed(due=aws.clock.now() + timedelta(days=1), message=timer(run_id))])

    (schedule,) = aws.stack.schedules()
    assert re.fullmatch(r"[0-9a-zA-Z_.-]{1,64}", schedule["Name"])


def test_every_timer_has_its_own_schedule(aws: AWSSystem) -> None:
    due = aws.clock.now() + timedelta(days=1)
    timers = [timer("r", "t1"), timer("r", "t2"), timer("q", "t1")]
    aws.world.send([Delayed(due=due, message=message) for message in timers])

    assert len(aws.stack.schedules()) == 3


def test_a_schedule_that_is_there_already_is_fine(aws: AWSSystem) -> None:
    due = aws.clock.now() + timedelta(days=1)
    aws.world.send([Delayed(due=due, message=timer())])
    aws.world.send([Delayed(due=due, message=timer())])

    assert len(aws.stack.schedules()) == 1


def test_other_refusals_of_scheduler_are_errors(aws: AWSSystem) -> None:
    settings = aws.stack.settings.model_copy(update={"scheduler_group": "nowhere"})
    world = AWSWorld(settings, session=aws.stack.session)

    with pytest.raises(Exception, match="nowhere"):
        world.send([Delayed(due=world.now() + timedelta(days=1), message=timer())])


@pytest.mark.parametrize("name", ["timer_queue_arn", "scheduler_role_arn"])
def test_a_long_timer_says_which_setting_it_misses(aws: AWSSystem, name: str) -> None:
    world = AWSWorld(aws.stack.settings.model_copy(update={name: None}), session=aws.stack.session)

    with pytest.raises(ConfigurationError, match=f"WORLDFLOW_{name.upper()}"):
        world.send([Delayed(due=world.now() + timedelta(days=1), message=timer())])


def test_without_a_scheduler_a_long_timer_waits_a_quarter_of_an_hour_at_a_time(aws: AWSSystem) -> None:
    world = AWSWorld(aws.stack.settings.model_copy(update={"scheduler_group": None}), session=aws.stack.session)
    sent, due = aws.clock.timestamp(), aws.clock.now() + timedelta(days=1)
    world.send([Delayed(due=due, message=timer())])

    assert aws.stack.schedules() == []
    (message,) = aws.stack.messages("timers")
    assert message.delayed_until / 1_000 - sent == pytest.approx(900, abs=0.5)
    assert load_message(message.body) == Delayed(due=due, message=timer())  # early: it is sent there again


# --- what comes early, and what is due -------------------------------------------------------------------------------


def test_a_schedule_wakes_early_and_the_queue_waits_for_the_rest(aws: AWSSystem) -> None:
    due = aws.clock.now() + timedelta(days=30)
    aws.world.send([Delayed(due=due, message=timer())])
    aws.stack.requests.clear()
    moment = aws.next_due()
    assert moment and due - timedelta(seconds=62) <= moment <= due - timedelta(seconds=60) + timedelta(seconds=1)

    aws.clock.forward(moment)
    assert aws.receive("runs") == []
    (message,) = aws.stack.messages("timers")
    assert message.delayed_until / 1_000 == pytest.approx(due.timestamp(), abs=1.1)
    assert aws.stack.schedules() == []
    assert aws.stack.requests == ["sqs.SendMessageBatch"]


def test_a_sleep_of_thirty_days_ends_on_time(aws: AWSSystem) -> None:
    start(aws, "r", workflows.pauses, count=1, seconds=30 * 86_400)
    started = aws.clock.now()
    record = finish(aws, "r")

    assert record.status == "completed"
    assert timedelta(0) <= aws.clock.now() - started - timedelta(days=30) < timedelta(seconds=4)
    fired = next(event for event in aws.world.read_events("r") if event.event_type == "TimerFired")
    assert fired.at >= started + timedelta(days=30) - timedelta(seconds=2)


def test_a_pause_within_a_quarter_of_an_hour_needs_no_schedule(aws: AWSSystem) -> None:
    start(aws, "r", workflows.pauses, count=2, seconds=600)
    skip(aws)
    finish(aws, "r")

    assert "scheduler.CreateSchedule" not in aws.stack.requests


# --- a batch that is not sent whole ----------------------------------------------------------------------------------


@contextmanager
def refusing(aws: AWSSystem, *refused: str) -> Iterator[None]:
    """SQS answers 200, and does not take the entries of these ids."""

    def refuse(parsed: dict[str, Any], **_: Any) -> None:
        done = [entry for entry in parsed.get("Successful", []) if entry["Id"] not in refused]
        failed = [{"Id": id, "Code": "InternalError", "Message": "try again", "SenderFault": False} for id in refused]
        parsed.update(Successful=done, Failed=failed)

    events = aws.world.access.sqs.meta.events
    events.register("after-call.sqs.SendMessageBatch", refuse)
    try:
        yield
    finally:
        events.unregister("after-call.sqs.SendMessageBatch", refuse)


@pytest.mark.parametrize("later", [False, True], ids=["now", "later"])
def test_an_entry_that_was_not_sent_is_an_error(aws: AWSSystem, later: bool) -> None:
    messages: list[Message] = [
        FactArrived(run_id="r", fact=SignalReceived(signal_id=str(number))) for number in range(3)
    ]
    due = aws.clock.now() + timedelta(seconds=30)
    sent = [Delayed(due=due, message=message) for message in messages] if later else messages
    with refusing(aws, "1"), pytest.raises(WorldflowError, match="1 of 3 messages were not sent: try again"):
        aws.world.send(sent)


def test_batches_hold_ten_entries_and_stay_below_the_old_limit_of_sqs(aws: AWSSystem) -> None:
    sizes: list[tuple[int, int]] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        body = params["body"]
        entries = json.loads(body)["Entries"]
        sizes.append((len(entries), sum(len(entry["MessageBody"].encode()) for entry in entries)))

    tasks = [StepTask(run_id="r", step_id=f"s{n}", name="n", input={"t": "é" * 30_000}) for n in range(7)]
    small = [StepTask(run_id="r", step_id=f"s{n}", name="n") for n in range(10, 35)]
    events = aws.world.access.sqs.meta.events
    events.register("before-call.sqs.SendMessageBatch", note)
    try:
        aws.world.send([*tasks, *small])
    finally:
        events.unregister("before-call.sqs.SendMessageBatch", note)

    assert sum(count for count, _ in sizes) == 32
    assert all(count <= 10 and size <= 262_144 for count, size in sizes)
    assert len(sizes) <= 6
