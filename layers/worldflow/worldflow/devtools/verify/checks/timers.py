"""Time: delays of SQS, one-time and recurring schedules of EventBridge Scheduler."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta

from worldflow.devtools.verify.failures import Failed, Skipped
from worldflow.devtools.verify.outcome import check
from worldflow.devtools.verify.target import Target
from worldflow.engine.history import SignalReceived
from worldflow.worlds.messages import Delayed, FactArrived

LONG = "930s"
"""Longer than the 15 minutes that SQS can delay a message."""

PRECISION = timedelta(minutes=1)
"""Within which Scheduler fires, according to its documentation. Timers are scheduled a minute early for it."""

TICKS = "the local AWS has its own precision"


@check("Short timers", statements=("OrchestratorRole.Send",), behaviour="SQS: DelaySeconds", look=("Orchestrator",))
def short(target: Target) -> str:
    """A sleep of two seconds takes about two: SQS delays the message."""
    run_id = target.start("verify_nap", {"duration": "2s"})
    target.ended(run_id)
    at = {event["event_type"]: datetime.fromisoformat(event["at"]) for event in target.events(run_id)}
    took = (at["TimerFired"] - at["TimerStarted"]).total_seconds()
    if not 2 <= took < 10:
        raise Failed(f"a sleep of 2 s took {took:.1f} s")
    return f"2 s took {took:.1f} s"


@check(
    "A sleep of days is a schedule",
    statements=("OrchestratorRole.Schedule", "OrchestratorRole.PassSchedulerRole"),
    look=("Orchestrator",),
)
def schedule_of_a_sleep(target: Target) -> str:
    """A sleep too long for SQS is one schedule, a minute before its end, which is deleted with the run: the
    orchestrator may create and delete schedules in the stack's group and pass them Scheduler's role.
    """
    run_id, name = start_to_sleep(target)
    expression = target.client("scheduler").get_schedule(GroupName=target.outputs["SchedulerGroupName"], Name=name)
    (timer,) = [event for event in target.events(run_id) if event["event_type"] == "TimerStarted"]
    due = datetime.fromisoformat(timer["payload"]["due"]) - timedelta(minutes=1)
    if expression["ScheduleExpression"] != f"at({due:%Y-%m-%dT%H:%M:%S})":
        raise Failed(f"the schedule is {expression['ScheduleExpression']}, but the timer is due a minute after {due}")
    target.expect(202, "POST", f"/runs/{run_id}/terminate")
    target.ended(run_id, "cancelled")
    wait_for_deletion(target, name)
    return f"{expression['ScheduleExpression']}, and gone with its run"


def start_to_sleep(target: Target) -> tuple[str, str]:
    """Starts a run that sleeps for a month. Returns its id and the name of its schedule, once there is one."""
    return schedule_of(target, lambda: target.start("verify_nap", {"duration": "30d"}))


def schedule_of(target: Target, start: Callable[[], str]) -> tuple[str, str]:
    """The id of the run that `start` starts, and the name of the schedule that is created for it."""
    before = _names(target)
    run_id = start()

    def created() -> str | None:
        # Other runs create schedules too, if the stack is in use.
        return next((name for name in sorted(_names(target) - before) if run_id in _input(target, name)), None)

    return run_id, target.until(created, 60, f"there is no schedule for {run_id}")


def wait_for_deletion(target: Target, name: str) -> None:
    """Waits until there is no schedule of that name."""
    target.until(lambda: name not in _names(target) or None, 30, f"schedule {name} still exists")


@check(
    "Precision of at()",
    statements=("SchedulerRole.Send",),
    behaviour="Scheduler: within a minute of at()",
    only_on_aws=TICKS,
    look=("Orchestrator",),
)
def at(target: Target) -> Generator[None, None, str]:
    """Scheduler sends a message to the timer queue at a given second, and its run receives it: how late shows how
    precise Scheduler is.
    """
    run_id = target.start("verify_signal")
    due = (datetime.now(UTC) + timedelta(seconds=5 if target.is_local else 90)).replace(microsecond=0)
    fact = SignalReceived(name="verify", value="at", signal_id=f"{run_id}-at")
    message = Delayed(due=due, message=FactArrived(run_id=run_id, fact=fact))
    target.client("scheduler").create_schedule(
        Name=run_id,
        GroupName=target.outputs["SchedulerGroupName"],
        ScheduleExpression=f"at({due:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={
            "Arn": target.outputs["TimerQueueArn"],
            "RoleArn": target.outputs["SchedulerRoleArn"],
            "Input": message.dump(),
        },
    )
    yield
    target.ended(run_id, within=240)
    (received,) = [event for event in target.events(run_id) if event["event_type"] == "SignalReceived"]
    late = datetime.fromisoformat(received["at"]) - due
    if late > PRECISION:
        raise Failed(f"at() fired {late.total_seconds():.1f} s late, but timers are scheduled only a minute early")
    return f"{late.total_seconds():.1f} s after at(:{due:%S})"


@check(
    "A timer of 15.5 minutes",
    statements=("OrchestratorRole.Schedule", "SchedulerRole.Send"),
    behaviour="Scheduler, then SQS: a timer is precise to a second or two",
    only_on_aws=TICKS,
    look=("Orchestrator",),
)
def long(target: Target) -> Generator[None, None, str]:
    """A sleep longer than SQS can delay ends on time: Scheduler fires a minute early, and SQS delays the rest."""
    if os.environ.get("LONG", "no" if target.is_local else "yes") == "no":
        raise Skipped("it takes 15.5 minutes: LONG=yes")
    run_id = target.start("verify_nap", {"duration": LONG})
    yield
    target.ended(run_id, within=1_100)
    at = {event["event_type"]: event for event in target.events(run_id)}
    due = datetime.fromisoformat(at["TimerStarted"]["payload"]["due"])
    late = (datetime.fromisoformat(at["TimerFired"]["at"]) - due).total_seconds()
    if late > 10:
        raise Failed(f"the timer fired {late:.1f} s late")
    return f"{late:.1f} s late"


@check(
    "Recurring schedules",
    statements=(
        "SignalRole.Schedule",
        "SignalRole.PassSchedulerRole",
        "SignalRole.Write",
        "SignalRole.ForgetSchedules",
    ),
    look=("Signal", "Orchestrator"),
)
def recurring(target: Target) -> Generator[None, None, str]:
    """A schedule for every minute starts a run within it: the API's function may create and delete schedules whose
    names begin with `schedule-`.
    """
    schedule_id = f"{target.prefix}-minutely"
    body = {"schedule_id": schedule_id, "workflow": "hello", "schedule": "cron(* * * * ? *)"}
    try:
        target.expect(201, "POST", "/schedules", body)
        yield

        def last() -> str | None:
            run_id: str | None = target.expect(200, "GET", f"/schedules/{schedule_id}").get("last_run_id")
            return run_id

        run_id = target.until(last, 180, "the schedule has started no run")
        target.ended(run_id)
    finally:
        target.call("DELETE", f"/schedules/{schedule_id}")  # which may be there, whatever POST has answered
        target.runs += [
            run["run_id"]
            for run in target.expect(200, "GET", "/runs?workflow=hello&limit=100")["runs"]
            if run["run_id"].startswith(f"{schedule_id}:")
        ]
    target.expect(404, "GET", f"/schedules/{schedule_id}")
    moment = datetime.strptime(run_id.rpartition(":")[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    late = (datetime.fromisoformat(target.events(run_id)[0]["at"]) - moment).total_seconds()
    return f"{run_id} began {late:.1f} s after its minute"


def _names(target: Target) -> set[str]:
    pages = target.client("scheduler").get_paginator("list_schedules")
    found = pages.paginate(GroupName=target.outputs["SchedulerGroupName"])
    return {schedule["Name"] for page in found for schedule in page["Schedules"]}


def _input(target: Target, name: str) -> str:
    group = target.outputs["SchedulerGroupName"]
    return str(target.client("scheduler").get_schedule(GroupName=group, Name=name)["Target"].get("Input"))
