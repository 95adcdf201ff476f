"""Expressions of EventBridge Scheduler: their moments, by the clocks of a time zone."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldflow import InvalidInputError
from worldflow.worlds.recurrence import parse

START = datetime(2026, 1, 1, tzinfo=UTC)


def moments(expression: str, timezone: str = "UTC", after: datetime = START, count: int = 4) -> list[str]:
    """The next moments, on the clocks of the time zone."""
    recurrence, found = parse(expression, timezone, START), []
    while len(found) < count and (moment := recurrence.after(after)):
        assert moment.tzinfo is UTC
        found.append(f"{moment.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M}")
        after = moment
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 8 ? * MON-FRI *", ["2026-01-01 08:00", "2026-01-02 08:00", "2026-01-05 08:00", "2026-01-06 08:00"]),
        ("0 8 ? * 2-6 *", ["2026-01-01 08:00", "2026-01-02 08:00", "2026-01-05 08:00", "2026-01-06 08:00"]),
        ("5 0 ? * SAT,SUN *", ["2026-01-03 00:05", "2026-01-04 00:05", "2026-01-10 00:05", "2026-01-11 00:05"]),
        ("0/20 9 * * ? *", ["2026-01-01 09:00", "2026-01-01 09:20", "2026-01-01 09:40", "2026-01-02 09:00"]),
        ("*/30 0-3/3 1 * ? *", ["2026-01-01 00:30", "2026-01-01 03:00", "2026-01-01 03:30", "2026-02-01 00:00"]),
        ("5,35 14 31 * ? *", ["2026-01-31 14:05", "2026-01-31 14:35", "2026-03-31 14:05", "2026-03-31 14:35"]),
        ("0 0 1 1/4 ? *", ["2026-05-01 00:00", "2026-09-01 00:00", "2027-01-01 00:00", "2027-05-01 00:00"]),
        ("0 0 1 FEB,APR-JUN ? *", ["2026-02-01 00:00", "2026-04-01 00:00", "2026-05-01 00:00", "2026-06-01 00:00"]),
        ("0 0 29 2 ? *", ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00", "2040-02-29 00:00"]),
        ("0 0 1 1 ? 2027/50", ["2027-01-01 00:00", "2077-01-01 00:00", "2127-01-01 00:00", "2177-01-01 00:00"]),
        ("0 0 1 1 ? 2030-2031", ["2030-01-01 00:00", "2031-01-01 00:00"]),
        ("0 0 L * ? *", ["2026-01-31 00:00", "2026-02-28 00:00", "2026-03-31 00:00", "2026-04-30 00:00"]),
        ("0 0 L-2 * ? *", ["2026-01-29 00:00", "2026-02-26 00:00", "2026-03-29 00:00", "2026-04-28 00:00"]),
        ("0 0 LW * ? *", ["2026-01-30 00:00", "2026-02-27 00:00", "2026-03-31 00:00", "2026-04-30 00:00"]),
        # 1 August 2026 is a Saturday, 15 March a Sunday; 31 May is a Sunday, 28 February a Saturday.
        ("0 0 1W 7,8 ? *", ["2026-07-01 00:00", "2026-08-03 00:00", "2027-07-01 00:00", "2027-08-02 00:00"]),
        ("0 0 15W 2,3 ? 2026", ["2026-02-16 00:00", "2026-03-16 00:00"]),
        ("0 0 31W 4,5,6 ? 2026", ["2026-05-29 00:00"]),
        ("0 0 28W 2 ? 2026", ["2026-02-27 00:00"]),
        ("0 0 ? * L *", ["2026-01-03 00:00", "2026-01-10 00:00", "2026-01-17 00:00", "2026-01-24 00:00"]),
        ("0 0 ? * 6L *", ["2026-01-30 00:00", "2026-02-27 00:00", "2026-03-27 00:00", "2026-04-24 00:00"]),
        ("0 0 ? * friL *", ["2026-01-30 00:00", "2026-02-27 00:00", "2026-03-27 00:00", "2026-04-24 00:00"]),
        ("0 0 ? * 3#2 *", ["2026-01-13 00:00", "2026-02-10 00:00", "2026-03-10 00:00", "2026-04-14 00:00"]),
        ("0 0 ? * MON#5 *", ["2026-03-30 00:00", "2026-06-29 00:00", "2026-08-31 00:00", "2026-11-30 00:00"]),
        ("0 0 30 2 ? *", []),
        ("59 23 31 12 ? 2199", ["2199-12-31 23:59"]),
        ("0 0 1 1 ? 2020", []),
    ],
)
def test_what_a_cron_expression_means(expression: str, expected: list[str]) -> None:
    assert moments(f"cron({expression})") == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(1 minute)", ["2026-01-01 00:01", "2026-01-01 00:02", "2026-01-01 00:03", "2026-01-01 00:04"]),
        ("rate(1 hours)", ["2026-01-01 01:00", "2026-01-01 02:00", "2026-01-01 03:00", "2026-01-01 04:00"]),
        ("rate(36 hours)", ["2026-01-02 12:00", "2026-01-04 00:00", "2026-01-05 12:00", "2026-01-07 00:00"]),
        ("rate(7 days)", ["2026-01-08 00:00", "2026-01-15 00:00", "2026-01-22 00:00", "2026-01-29 00:00"]),
        ("rate(3000000 days)", []),
    ],
)
def test_what_a_rate_means(expression: str, expected: list[str]) -> None:
    assert moments(expression) == expected


def test_a_rate_counts_from_its_start_wherever_one_looks() -> None:
    start = datetime(2026, 1, 1, 10, 0, 7, tzinfo=UTC)
    rate = parse("rate(10 minutes)", "UTC", start)

    assert rate.after(start - timedelta(days=3)) == start + timedelta(minutes=10)
    assert rate.after(start) == start + timedelta(minutes=10)
    assert rate.after(start + timedelta(minutes=10)) == start + timedelta(minutes=20)
    assert rate.after(start + timedelta(minutes=39, seconds=59)) == start + timedelta(minutes=40)


def test_a_day_of_a_rate_is_24_hours_also_when_the_clocks_change() -> None:
    rate = parse("rate(1 day)", "Europe/Berlin", datetime(2026, 3, 28, 8, tzinfo=ZoneInfo("Europe/Berlin")))

    assert rate.after(datetime(2026, 3, 28, 12, tzinfo=UTC)) == datetime(2026, 3, 29, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "expression", "expected"),
    [
        # 2:30 does not exist on 29 March.
        ("Europe/Berlin", "30 2 27-31 3 ? *", ["2026-03-27 02:30", "2026-03-28 02:30", "2026-03-30 02:30"]),
        ("Europe/Berlin", "0 3 28-30 3 ? *", ["2026-03-28 03:00", "2026-03-29 03:00", "2026-03-30 03:00"]),
        ("America/New_York", "0/30 1-3 8 3 ? 2026", ["2026-03-08 01:00", "2026-03-08 01:30", "2026-03-08 03:00"]),
        # Lord Howe's clocks go forward by half an hour, at 2:00.
        ("Australia/Lord_Howe", "0/15 2 4 10 ? 2026", ["2026-10-04 02:30", "2026-10-04 02:45"]),
        # Apia had no 30 December 2011.
        ("Pacific/Apia", "0 12 29-31 12 ? 2011", ["2011-12-29 12:00", "2011-12-31 12:00"]),
    ],
)
def test_what_clocks_leave_out_in_spring_is_left_out(zone: str, expression: str, expected: list[str]) -> None:
    after = datetime(int(expected[0][:4]), 1, 1, tzinfo=UTC)
    assert moments(f"cron({expression})", zone, after, len(expected)) == expected


def test_what_clocks_show_twice_in_autumn_comes_once_the_first_time() -> None:
    cron = parse("cron(30 2 * * ? *)", "Europe/Berlin")
    summer, winter = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)

    assert cron.after(summer - timedelta(hours=1)) == summer
    assert cron.after(summer) == cron.after(winter) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_whoever_looks_at_the_very_moment_gets_the_next_one() -> None:
    cron = parse("cron(0 8 * * ? *)")
    eight = datetime(2026, 5, 1, 8, tzinfo=UTC)

    assert cron.after(eight - timedelta(microseconds=1)) == eight
    assert cron.after(eight) == eight + timedelta(days=1)
    assert cron.after(eight.astimezone(ZoneInfo("Asia/Tokyo"))) == eight + timedelta(days=1)


# --- what is no expression -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "must be like cron("),
        ("0 8 * * ? *", "must be like cron("),
        ("at(2026-01-01T00:00:00)", "must be like cron("),
        ("cron(0 8 * * ? *) ", "must be like cron("),
        ("Cron(0 8 * * ? *)", "must be like cron("),
        ("cron(0 8 * * ?)", "six fields (minute hour day-of-month month day-of-week year), not 5"),
        ("cron(0 0 8 * * ? *)", "not 7"),
        ("cron(0 8 * * * *)", "must be ?"),
        ("cron(0 8 ? * ? *)", "must be ?"),
        ("cron(? 8 * * ? *)", "'?' is not valid for minute"),
        ("cron(60 8 * * ? *)", "'60' is not valid for minute, which takes 0 to 59"),
        ("cron(0 24 * * ? *)", "'24' is not valid for hour"),
        ("cron(0 8 0 * ? *)", "'0' is not valid for day-of-month"),
        ("cron(0 8 32 * ? *)", "'32' is not valid for day-of-month"),
        ("cron(0 8 * 13 ? *)", "'13' is not valid for month, which takes 1 to 12 or names"),
        ("cron(0 8 * JUNE ? *)", "'JUNE' is not valid for month"),
        ("cron(0 8 ? * 0 *)", "'0' is not valid for day-of-week"),
        ("cron(0 8 ? * MON/2 *)", "day-of-week takes no steps"),
        ("cron(0 8 ? * MON#6 *)", "'6' is not valid for day-of-week"),
        ("cron(0 8 ? * MON#1,TUE#1 *)", "is not valid for day-of-week"),
        ("cron(0 8 ? * FRI-MON *)", "a range must be ascending"),
        ("cron(0 8 * * ? 1969)", "'1969' is not valid for year"),
        ("cron(0 8 * * ? 2200)", "'2200' is not valid for year"),
        ("cron(0 8 1,L * ? *)", "'L' is not valid for day-of-month"),
        ("cron(0 8 32W * ? *)", "'32' is not valid for day-of-month"),
        ("cron(0 8 L-31 * ? *)", "'31' is not valid for day-of-month"),
        ("cron(0 8 ? * 8L *)", "is not valid for day-of-week"),
        ("cron(*/0 8 * * ? *)", "'0' is not valid for minute"),
        ("cron(5- 8 * * ? *)", "'5-' is not valid for minute"),
        ("cron(1,,2 8 * * ? *)", "'' is not valid for minute"),
        ("cron(٣ 8 * * ? *)", "is not valid for minute"),
        ("rate(0 minutes)", "must be like cron("),
        ("rate(5 seconds)", "must be like cron("),
        ("rate(5 minute)", "the unit must be minutes for a value of 5"),
        ("rate(1.5 hours)", "must be like cron("),
        ("rate(99999999999999999999 days)", "its interval is too long"),
    ],
)
def test_what_is_no_expression_says_why(expression: str, reason: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        parse(expression)
    (field,) = raised.value.fields
    assert field.field == "schedule"
    assert reason in field.message
    assert repr(expression) in raised.value.summary


@pytest.mark.parametrize("timezone", ["", "Europe", "Mars/Olympus", "../etc/passwd", "/etc/localtime", "UTC\0", "é"])
def test_what_is_no_time_zone_says_so(timezone: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        parse("cron(0 8 * * ? *)", timezone)
    assert [field.field for field in raised.value.fields] == ["timezone"]


@given(st.text("0123456789*?/,-#LWMONFRIJAN ", max_size=30))
def test_whatever_the_text_it_is_read_or_refused(fields: str) -> None:
    with suppress(InvalidInputError):
        parse(f"cron({fields})").after(START)


# --- against a clock that is asked minute by minute ------------------------------------------------------------------


def _set(low: int, high: int) -> st.SearchStrategy[tuple[str, set[int]]]:
    """A field, and the values that it names."""
    numbers = st.integers(low, high)
    one = numbers.map(lambda n: (str(n), {n}))
    span = st.tuples(numbers, numbers).map(sorted).map(lambda s: (f"{s[0]}-{s[1]}", set(range(s[0], s[1] + 1))))
    steps = st.tuples(numbers, st.integers(1, high)).map(lambda s: (f"{s[0]}/{s[1]}", set(range(s[0], high + 1, s[1]))))
    every = st.just(("*", set(range(low, high + 1))))
    parts = st.lists(one | span | steps, min_size=1, max_size=3).map(
        lambda parts: (",".join(text for text, _ in parts), set().union(*(values for _, values in parts)))
    )
    return every | parts


DayTest = Callable[[date], bool]


def _last(day: date) -> int:
    return monthrange(day.year, day.month)[1]


def _nearest_weekday(day: date, number: int) -> bool:
    """Whether `day` is the working day nearest to the `number`th: by looking at every day of the month."""
    if number > _last(day):
        return False
    days = [day.replace(day=n) for n in range(1, _last(day) + 1)]
    return day == min((d for d in days if d.isoweekday() < 6), key=lambda d: abs(d.day - number))


def _is_weekday(day: date, weekday: int) -> bool:
    return day.strftime("%a").upper() == ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")[weekday - 1]


def _same_weekday(day: date) -> list[int]:
    return [n for n in range(1, _last(day) + 1) if day.replace(day=n).isoweekday() == day.isoweekday()]


def _days() -> st.SearchStrategy[tuple[str, str, DayTest]]:
    """The two fields of the day, and whether a day fits them."""
    weekdays = st.integers(1, 7)
    of_month = _set(1, 31).map(lambda f: (f[0], "?", lambda day: day.day in f[1]))
    last = st.just(("L", "?", lambda day: day.day == _last(day)))
    nearest = st.integers(1, 31).map(lambda n: (f"{n}W", "?", lambda day: _nearest_weekday(day, n)))
    of_week = weekdays.map(lambda w: ("?", str(w), lambda day: _is_weekday(day, w)))
    last_of_week = weekdays.map(
        lambda w: ("?", f"{w}L", lambda day: _is_weekday(day, w) and _same_weekday(day)[-1] == day.day)
    )
    nth = st.tuples(weekdays, st.integers(1, 5)).map(
        lambda f: (
            "?",
            f"{f[0]}#{f[1]}",
            lambda day: _is_weekday(day, f[0]) and _same_weekday(day)[f[1] - 1 : f[1]] == [day.day],
        )
    )
    return of_month | last | nearest | of_week | last_of_week | nth


# Where clocks change.
_CHANGES = [(2026, 3, 29), (2026, 10, 25), (2026, 3, 8), (2026, 11, 1), (2026, 4, 4), (2026, 10, 3), (2026, 2, 15)]
_near_a_change = st.tuples(st.sampled_from(_CHANGES), st.integers(-600, 1_440)).map(
    lambda at: datetime(*at[0], tzinfo=UTC) + timedelta(minutes=at[1])
)


@settings(deadline=None)
@given(
    minutes=_set(0, 59),
    hours=_set(0, 23),
    days=_days(),
    months=_set(1, 12),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]),
    moment=_near_a_change | st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
)
def test_the_next_moment_is_the_first_that_a_clock_shows(
    minutes: tuple[str, set[int]],
    hours: tuple[str, set[int]],
    days: tuple[str, str, DayTest],
    months: tuple[str, set[int]],
    zone: str,
    moment: datetime,
) -> None:
    of_month, of_week, fits = days
    expression = f"cron({minutes[0]} {hours[0]} {of_month} {months[0]} {of_week} *)"
    window = 3 * 1_440

    def is_due(instant: datetime) -> bool:
        wall = instant.astimezone(ZoneInfo(zone))
        return (
            wall.minute in minutes[1]
            and wall.hour in hours[1]
            and wall.month in months[1]
            and fits(wall.date())
            and wall.fold == 0
        )

    first = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
    instants = (first + timedelta(minutes=n) for n in range(window))
    expected = next(islice((instant for instant in instants if is_due(instant)), 1), None)
    found = parse(expression, zone).after(moment)
    if expected:
        assert found == expected
    else:
        assert found is None or found >= first + timedelta(minutes=window)
        assert found is None or is_due(found)
