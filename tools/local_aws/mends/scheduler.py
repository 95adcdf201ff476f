"""EventBridge Scheduler: finer ticks, ClientToken, and no wrong time zone.

Wrong, and what AWS does:

- It looks for due schedules each 10 s. AWS fires within the minute; waiting for that locally only makes tests slow.
- `ClientToken` is ignored, so the retry of a CreateSchedule whose answer was lost is a ConflictException. AWS answers a
  repeated token as it did at first, and ConflictException to another one.
- `ScheduleExpressionTimezone` is ignored and every time is UTC. Other zones are refused here rather than fired wrongly.
- `<aws.scheduler.scheduled-time>` in an input stays as it is. AWS puts the time there.
"""

import re
from datetime import UTC, datetime
from typing import Any

from ministack.services import eventbridge, scheduler

from tools.local_aws.counting import counts

_TICK_SECONDS = 0.5

_SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"

_create_schedule = scheduler._create_schedule
_update_schedule = scheduler._update_schedule
_invoke_target = eventbridge._invoke_target


def apply() -> None:
    scheduler._SCHEDULE_TICK_INTERVAL = _TICK_SECONDS
    scheduler._create_schedule = _create
    scheduler._update_schedule = _update
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
    return answer


def _update(name: str, body: dict[str, Any]) -> Any:
    return _refusal(body) or _update_schedule(name, body)


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
