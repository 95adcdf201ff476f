"""EventBridge Scheduler: finer ticks, first moments, ClientToken, and no wrong time zone.

Wrong, and what AWS does:

- It looks for due schedules each 10 s. AWS fires within the minute; waiting for that locally only makes tests slow.
- A cron expression counts from the look that finds the schedule first. If a minute begins between its creation and that
  look, the moment is lost. AWS counts from the creation.
- One that is resumed, or has the name of a deleted one, fires at once for a moment that passed meanwhile; a timer with
  the name of a deleted one never fires. AWS forgets a deleted schedule, and makes up for no moment.
- `ClientToken` is ignored, so the retry of a CreateSchedule whose answer was lost is a ConflictException. AWS answers a
  repeated token as it did at first, and ConflictException to another one.
- `ScheduleExpressionTimezone` is ignored and every time is UTC. Other zones are refused here rather than fired wrongly.
- `<aws.scheduler.scheduled-time>` in an input stays as it is. AWS puts the time there.
"""

import re
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import eventbridge, scheduler

from worldflow.devtools.local_aws.counting import counts

_TICK_SECONDS = 0.5

_SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"

_WHEN = ("ScheduleExpression", "State")

_create_schedule = scheduler._create_schedule
_update_schedule = scheduler._update_schedule
_delete_schedule = scheduler._delete_schedule
_invoke_target = eventbridge._invoke_target


def apply() -> None:
    scheduler._SCHEDULE_TICK_INTERVAL = _TICK_SECONDS
    scheduler._create_schedule = _create
    scheduler._update_schedule = _update
    scheduler._delete_schedule = _delete
    eventbridge._invoke_target = _fire


def _create(name: str, body: dict[str, Any]) -> Any:
    if refusal := _refusal(body):
        return refusal
    key = f"{body.get('GroupName', 'default')}/{name}"
    token = body.get("ClientToken")
    existing = scheduler._schedules.get(key)
    if existing is not None and token is not None and existing.get("ClientToken") == token:
        return scheduler._json_resp(200, {"ScheduleArn": existing["Arn"]})
    answer = _create_schedule(name, body)
    if answer[0] == 200:
        scheduler._schedules[key]["ClientToken"] = token
        _count_from(key, "CreationDate")
    return answer


def _update(name: str, body: dict[str, Any]) -> Any:
    if refusal := _refusal(body):
        return refusal
    key = f"{body.get('GroupName', 'default')}/{name}"
    before = scheduler._schedules.get(key)
    answer = _update_schedule(name, body)
    # Other changes let a moment that is about to fire do so.
    if answer[0] == 200 and any(scheduler._schedules[key][field] != before[field] for field in _WHEN):
        _count_from(key, "LastModificationDate")
    return answer


def _delete(name: str, query: dict[str, Any]) -> Any:
    answer = _delete_schedule(name, query)
    if answer[0] == 200:
        scheduler._schedule_last_fired.pop(_state_key(f"{query.get('groupName', 'default')}/{name}"), None)
    return answer


def _count_from(key: str, date: str) -> None:
    """The moments of a cron expression that this date of its schedule precedes are to come."""
    schedule = scheduler._schedules[key]
    if schedule["ScheduleExpression"].startswith("cron"):
        scheduler._schedule_last_fired[_state_key(key)] = schedule[date]


def _state_key(key: str) -> tuple[str, str, str]:
    return get_account_id(), get_region(), key


def _refusal(body: dict[str, Any]) -> Any:
    zone = body.get("ScheduleExpressionTimezone", "UTC")
    if zone in ("UTC", "Etc/UTC"):
        return None
    return scheduler._error(400, "ValidationException", f"The local AWS knows the time zone UTC only, not {zone}.")


def _fire(target: dict[str, Any], event: dict[str, Any], rule: Any, view: Any = None) -> None:
    if event.get("Source") == "aws.scheduler":
        counts.request("scheduler", "Invocation")
        if ":sqs:" in target.get("Arn", ""):
            counts.request("sqs", "SendMessage")
        due = _scheduled_time(rule["ScheduleExpression"], event["Time"])
        target = {**target, "Input": target.get("Input", "").replace(_SCHEDULED_TIME, due)}
    _invoke_target(target, event, rule, view)


def _scheduled_time(expression: str, now: float) -> str:
    """When a schedule that fires now was to do so."""
    if at := re.fullmatch(r"at\((.+)\)", expression):
        return f"{at[1]}Z"
    moment = datetime.fromtimestamp(now, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:00Z}" if expression.startswith("cron") else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
