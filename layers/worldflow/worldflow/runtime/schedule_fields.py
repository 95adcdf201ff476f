"""What fits the fields of a schedule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, get_args

from worldflow.engine.durations import Duration, seconds
from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import Json
from worldflow.engine.values.serialization import ANYTHING
from worldflow.engine.workflow.definitions import Workflow, check_usable
from worldflow.engine.workflow.limits import is_count
from worldflow.worlds.schedule_records import WAITS, Overlap

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}")

JITTER_LIMIT = 86_400
"""Seconds."""

CATCH_UP_LEAST = 120
"""Seconds. EventBridge Scheduler is up to a minute late, and the queues take a moment."""

Remaining = int | Literal["unlimited"]
"""How many more runs a schedule starts."""


def check_id(schedule_id: str) -> None:
    if not isinstance(schedule_id, str) or not _ID.fullmatch(schedule_id):
        # It is part of the names of runs and of EventBridge Scheduler's schedules.
        rule = "up to 50 letters, digits and _.-, starting with a letter or digit"
        raise InvalidInputError(
            f"{schedule_id!r} is not a valid schedule_id: it must be {rule}",
            [FieldError("schedule_id", f"must be {rule}")],
        )


def check(schedule: str, timezone: str, overlap: str, now: datetime) -> None:
    from worldflow.worlds.recurrence import parse  # which firing does without

    if overlap not in get_args(Overlap):
        rule = f"one of {', '.join(get_args(Overlap))}"
        raise InvalidInputError(
            f"{overlap!r} is not a valid overlap: it must be {rule}", [FieldError("overlap", f"must be {rule}")]
        )
    if parse(schedule, timezone, now).after(now) is None:
        raise InvalidInputError(
            f"{schedule!r} is never due again", [FieldError("schedule", "must be due at some time in the future")]
        )


def check_gathering(workflow: Workflow[..., Any] | str, overlap: Overlap, jitter: float | None) -> None:
    """Raises `InvalidInputError` for what does not fit a workflow that gathers starts."""
    if not isinstance(workflow, Workflow) or not workflow.starts.gather:
        return
    if jitter:
        raise InvalidInputError(
            f"{workflow.name} gathers starts, which has its own waiting time: leave out the jitter",
            [FieldError("jitter", "must not be given for a workflow with a debounce or a batch")],
        )
    if overlap in WAITS:
        raise InvalidInputError(
            f"{workflow.name} gathers starts, which may belong to another run: the overlap must be skip or allow",
            [FieldError("overlap", "must be skip or allow for a workflow with a debounce or a batch")],
        )


def read_jitter(jitter: Duration) -> float | None:
    """A jitter in seconds; None for one of no length."""
    length = _length(jitter, "jitter")
    if length > JITTER_LIMIT:
        raise InvalidInputError(
            f"a jitter of {jitter!r} is too long: it must be at most 1d", [FieldError("jitter", "must be at most 1d")]
        )
    return length or None


def read_catch_up(catch_up: Duration) -> float | None:
    """A window in seconds; None for one of no length."""
    length = _length(catch_up, "catch_up")
    if length and length < CATCH_UP_LEAST:
        raise InvalidInputError(
            f"a catch_up of {catch_up!r} is too short: runs may be a minute late anyway, so it must be at least 2m",
            [FieldError("catch_up", "must be at least 2m")],
        )
    return length or None


def _length(duration: Duration, field: str) -> float:
    try:
        return seconds(duration)
    except ValueError as error:
        raise InvalidInputError(f"{field}: {error}", [FieldError(field, "must be a duration, such as '5m'")]) from None


def read_remaining(remaining: Remaining) -> int | None:
    """A number of runs; None for no limit."""
    if remaining == "unlimited":
        return None
    if not is_count(remaining):
        raise InvalidInputError(
            f"remaining must be an integer of at least 1, or 'unlimited', not {remaining!r}",
            [FieldError("remaining", "must be an integer of at least 1, or 'unlimited'")],
        )
    return remaining


def encode(workflow: Workflow[..., Any] | str, values: Mapping[str, Any]) -> tuple[str, dict[str, Json]]:
    """The workflow's name and its arguments as JSON. Where its code is not in this process they are not checked."""
    if isinstance(workflow, str):
        return workflow, ANYTHING.encode(dict(values))
    check_usable(workflow)
    return workflow.name, workflow.signature.encode(workflow.signature.validate(values))


def has_form(workflow: Workflow[..., Any] | str, values: Mapping[str, Any], form: Json) -> bool:
    """Whether an earlier version may have written `form` for these arguments."""
    if isinstance(workflow, str):
        return False
    return workflow.signature.is_form(workflow.signature.validate(values), form)


def decode(workflow: Workflow[..., Any] | str, values: Mapping[str, Json]) -> Mapping[str, Any]:
    return values if isinstance(workflow, str) else workflow.signature.decode(values)
