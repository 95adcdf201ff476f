"""When a run is to begin, as callers say it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from worldflow.engine.durations import Duration, seconds
from worldflow.engine.errors import FieldError, InvalidInputError


def start_time(now: datetime, delay: Duration | None, start_at: datetime | None) -> datetime | None:
    """When a run begins; None for at once. Raises `InvalidInputError`."""
    if delay is not None and start_at is not None:
        raise InvalidInputError(
            "a run is started after a delay or at a time, not both: give delay or start_at",
            [FieldError("start_at", "must not be given with delay")],
        )
    if start_at is not None:
        return _in_utc(start_at, now)
    if delay is None:
        return None
    try:
        length = seconds(delay)
        return now + timedelta(seconds=length) if length else None
    except ValueError as error:
        raise InvalidInputError(f"delay: {error}", [FieldError("delay", "must be a duration, such as '1h'")]) from None
    except OverflowError:
        raise InvalidInputError(
            f"a delay of {delay!r} ends after the year 9999", [FieldError("delay", "must end before the year 10000")]
        ) from None


def _in_utc(start_at: datetime, now: datetime) -> datetime | None:
    if not isinstance(start_at, datetime) or start_at.tzinfo is None:
        raise InvalidInputError(
            f"start_at must be a datetime with a time zone, such as datetime.now(UTC) + timedelta(hours=1), "
            f"not {start_at!r}",
            [FieldError("start_at", "must be a time with a time zone")],
        )
    try:
        moment = start_at.astimezone(UTC)
    except OverflowError:
        raise InvalidInputError(
            f"start_at {start_at!r} cannot be converted to UTC", [FieldError("start_at", "must be a time in UTC")]
        ) from None
    return moment if moment > now else None
