"""When something recurs: the `cron(...)` and `rate(...)` expressions of EventBridge Scheduler.

    parse("cron(0 8 ? * MON-FRI *)", "Europe/Berlin", start).after(moment)

A cron expression has six fields, minute to year, and names moments on the clocks of its time zone. A moment that these
clocks leave out in spring is left out, and one that they show twice in autumn comes once, the first time; so it is with
EventBridge Scheduler. No published library has both this dialect and time zones, hence this one.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from worldflow.engine.errors import FieldError, InvalidInputError

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIRST_YEAR, _LAST_YEAR = 1970, 2199

_RATE = re.compile(r"rate\(([1-9][0-9]*) (minute|hour|day)(s?)\)")
_CRON = re.compile(r"cron\(([^()]*)\)")
_PART = re.compile(r"(\*|(?P<first>\w+)(-(?P<last>\w+))?)(/(?P<step>[0-9]+))?")

_Days = Callable[[date], bool]


class Recurrence(Protocol):
    """The moments at which something recurs."""

    def after(self, moment: datetime) -> datetime | None:
        """The first of them that is later than `moment`, in UTC; None if there is no more."""


def parse(expression: str, timezone: str = "UTC", start: datetime | None = None) -> Recurrence:
    """Reads an expression. Raises `InvalidInputError`, whose fields are `schedule` and `timezone`.

    timezone: the name of a time zone, such as `Europe/Berlin`; a rate does not depend on it.
    start: from when a rate counts. Default: 1970.
    """
    zone = _zone(timezone)
    try:
        if match := _RATE.fullmatch(expression):
            return _Rate((start or _EPOCH).astimezone(UTC), _interval(*match.groups()))
        if match := _CRON.fullmatch(expression):
            return _cron(match[1].split(), zone)
        raise _Misfit("must be like cron(minute hour day-of-month month day-of-week year) or rate(5 minutes)")
    except _Misfit as error:
        raise InvalidInputError(
            f"{expression!r} is not a valid schedule: {error}", [FieldError("schedule", str(error))]
        ) from None


class _Misfit(ValueError):
    """What is wrong with an expression."""


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of the database, such as Europe
        raise InvalidInputError(
            f"{name!r} is not a time zone",
            [FieldError("timezone", "must be the name of a time zone, such as Europe/Berlin")],
        ) from None


# --- rates -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rate:
    start: datetime
    interval: timedelta

    def after(self, moment: datetime) -> datetime | None:
        passed = max(moment - self.start, timedelta(0)) // self.interval
        try:
            return self.start + (passed + 1) * self.interval
        except OverflowError:
            return None


def _interval(value: str, unit: str, plural: str) -> timedelta:
    if value != "1" and not plural:
        raise _Misfit(f"the unit must be {unit}s for a value of {value}")
    try:
        return timedelta(**{f"{unit}s": int(value)})
    except (OverflowError, ValueError):
        raise _Misfit("its interval is too long") from None


# --- cron ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cron:
    minutes: list[int]
    hours: list[int]
    months: list[int]
    years: list[int]
    on_day: _Days
    zone: ZoneInfo

    def after(self, moment: datetime) -> datetime | None:
        wall = moment.astimezone(self.zone).replace(tzinfo=None)
        for candidate in self._on_the_clock(wall):
            found = candidate.replace(tzinfo=self.zone).astimezone(UTC)
            is_shown = found.astimezone(self.zone).replace(tzinfo=None) == candidate
            if is_shown and found > moment:
                return found
        return None

    def _on_the_clock(self, begin: datetime) -> Iterator[datetime]:
        """The moments from `begin` on as a clock shows them, also those that this zone's clocks leave out."""
        for day in self._days(begin.date()):
            for hour in self.hours:
                for minute in self.minutes:
                    candidate = datetime(day.year, day.month, day.day, hour, minute)
                    if candidate >= begin.replace(second=0, microsecond=0):
                        yield candidate

    def _days(self, begin: date) -> Iterator[date]:
        for year in self.years:
            for month in self.months:
                if (year, month) >= (begin.year, begin.month):
                    days = (date(year, month, number) for number in range(1, monthrange(year, month)[1] + 1))
                    yield from (day for day in days if day >= begin and self.on_day(day))


def _cron(fields: list[str], zone: ZoneInfo) -> _Cron:
    if len(fields) != 6:
        raise _Misfit(f"cron takes six fields (minute hour day-of-month month day-of-week year), not {len(fields)}")
    minutes, hours, day_of_month, months, day_of_week, years = (field.upper() for field in fields)
    if (day_of_month == "?") == (day_of_week == "?"):
        raise _Misfit("exactly one of day-of-month and day-of-week must be ?")
    return _Cron(
        minutes=_values("minute", minutes, 0, 59),
        hours=_values("hour", hours, 0, 23),
        months=_values("month", months, 1, 12, _MONTHS),
        years=_values("year", years, _FIRST_YEAR, _LAST_YEAR),
        on_day=_of_week(day_of_week) if day_of_month == "?" else _of_month(day_of_month),
        zone=zone,
    )


def _of_month(field: str) -> _Days:
    if match := re.fullmatch(r"L(-(?P<before>[0-9]{1,2}))?", field):
        before = _number("day-of-month", match["before"] or "0", 0, 30)
        return lambda day: day.day == _last_of(day) - before
    if match := re.fullmatch(r"([0-9]+|L)W", field):
        wanted = None if match[1] == "L" else _number("day-of-month", match[1], 1, 31)
        return lambda day: day == _weekday_nearest(day, wanted or _last_of(day))
    days = _values("day-of-month", field, 1, 31)
    return lambda day: day.day in days


def _of_week(field: str) -> _Days:
    if "/" in field:
        raise _Misfit("day-of-week takes no steps")
    if match := re.fullmatch(r"(\w+)#(\w+)", field):
        weekday, which = _number("day-of-week", match[1], 1, 7, _DAYS), _number("day-of-week", match[2], 1, 5)
        return lambda day: _weekday(day) == weekday and (day.day - 1) // 7 + 1 == which
    if match := re.fullmatch(r"([1-7]|[A-Z]{3})L", field):
        weekday = _number("day-of-week", match[1], 1, 7, _DAYS)
        return lambda day: _weekday(day) == weekday and day.day + 7 > _last_of(day)
    weekdays = [7] if field == "L" else _values("day-of-week", field, 1, 7, _DAYS)
    return lambda day: _weekday(day) in weekdays


def _weekday(day: date) -> int:
    """1 is Sunday."""
    return day.isoweekday() % 7 + 1


def _last_of(day: date) -> int:
    return monthrange(day.year, day.month)[1]


def _weekday_nearest(day: date, number: int) -> date | None:
    """The day from Monday to Friday that is nearest to the `number`th, in the same month as `day`."""
    if number > _last_of(day):
        return None
    wanted = day.replace(day=number)
    shift = {6: -1 if number > 1 else 2, 7: 1 if number < _last_of(day) else -2}.get(wanted.isoweekday(), 0)
    return wanted + timedelta(days=shift)


def _values(name: str, field: str, low: int, high: int, words: tuple[str, ...] = ()) -> list[int]:
    """The values that a field names, in order."""
    values: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise _Misfit(f"{part!r} is not valid for {name}")
        first = _number(name, match["first"], low, high, words) if match["first"] else low
        last = _number(name, match["last"], low, high, words) if match["last"] else first
        if not match["first"] or (match["step"] and not match["last"]):
            last = high
        if last < first:
            raise _Misfit(f"{part!r} is not valid for {name}: a range must be ascending")
        values.update(range(first, last + 1, _number(name, match["step"] or "1", 1, high)))
    return sorted(values)


def _number(name: str, text: str, low: int, high: int, words: tuple[str, ...] = ()) -> int:
    if text in words:
        return words.index(text) + low
    if not re.fullmatch("[0-9]{1,4}", text) or not low <= int(text) <= high:
        raise _Misfit(f"{text!r} is not valid for {name}, which takes {low} to {high}{' or names' if words else ''}")
    return int(text)
