"""Short texts of a form of their own: each is read, or refused with the one error that is told of."""

from __future__ import annotations

import importlib
import re
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import worldflow
from tests.support.outside import fuzz, texts
from worldflow import InvalidInputError
from worldflow.engine import durations
from worldflow.engine.ids import check_id, check_name, check_run_id, child_run_id, generation, generation_id
from worldflow.engine.workflow.context import check_token
from worldflow.worlds import recurrence
from worldflow.worlds.messages import safe_id
from worldflow.worlds.records import check_cursor

NOW = datetime(2026, 1, 15, 10, tzinfo=UTC)


@fuzz
@given(texts)
def test_ids_and_names(text: str) -> None:
    for check in (
        check_run_id,
        check_name,
        check_token,
        lambda text: check_id(text, "id"),
        lambda text: check_name(text, "f"),
    ):
        try:
            check(text)
        except InvalidInputError as error:
            assert error.fields
        else:
            assert 1 <= len(text) <= 256


@fuzz
@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:=@+-]{0,99}", fullmatch=True), st.integers(2, 10**6))
def test_generations_come_back(run_id: str, number: int) -> None:
    check_run_id(run_id)
    assert generation(generation_id(run_id, number)) == (run_id, number)
    assert generation(run_id) == (run_id, 1)
    assert len(child_run_id(child_run_id(run_id * 3, "c1"), "c2")) <= 300


@fuzz
@given(texts.filter(lambda text: "\ud800" not in text))
def test_ids_of_queues(text: str) -> None:
    assert re.fullmatch(r"[!-~]{1,128}", safe_id(text))


@fuzz
@given(texts | st.builds("{}#{}".format, st.datetimes() | texts, texts))
def test_cursors(text: str) -> None:
    try:
        moment, run_id = check_cursor(text)
    except InvalidInputError:
        return
    assert run_id and f"{moment}#{run_id}" == text


DURATIONS = st.lists(
    st.tuples(st.integers(0, 10**6) | st.floats(0, 1e6), st.sampled_from(["ms", "s", "m", "h", "d", "w", "x", "."])),
    min_size=1,
    max_size=4,
).map(lambda parts: "".join(f"{number}{unit}" for number, unit in parts))


ODD: Any = st.sampled_from([True, None, "9" * 400 + "w", [], "1" * 300 + "." + "1" * 300 + "s"])


@fuzz
@given(DURATIONS | texts.filter(lambda text: len(text) < 10_000) | st.floats() | ODD)
def test_durations(given: Any) -> None:
    try:
        length = durations.seconds(given)
    except ValueError:
        return
    assert 0 <= length < float("inf")
    if length < 1e9:
        assert durations.seconds(durations.spoken(length)) == pytest.approx(length, abs=1e-3)


FIELDS = st.text(alphabet="0123456789*?,-/LW#MONJANSU", min_size=1, max_size=6) | st.sampled_from(
    ["*", "?", "0", "L", "LW", "15W", "L-3", "2#5", "6L", "MON-FRI", "JAN", "*/15", "2026-2199", "1,2,3", "31"]
)
EXPRESSIONS = (
    st.lists(FIELDS, min_size=5, max_size=7).map(lambda fields: f"cron({' '.join(fields)})")
    | st.tuples(FIELDS, FIELDS, FIELDS, FIELDS).map(lambda f: f"cron({f[0]} {f[1]} {f[2]} {f[3]} ? *)")
    | st.tuples(FIELDS, FIELDS).map(lambda f: f"cron(0 8 ? {f[0]} {f[1]} *)")
    | st.builds("rate({} {})".format, st.integers(0) | texts, st.sampled_from(["minute", "hours", "days", "s"]))
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York"])


@fuzz
@example("cron(0 0 31 2 ? *)", "UTC")
@example("cron(" + "0-59/1," * 100_000 + "0 * * * ? *)", "UTC")
@example("rate(" + "9" * 5_000 + " days)", "UTC")
@example("cron(0 0 ? * 2#5 2199)", "Australia/Lord_Howe")
@given(EXPRESSIONS | texts, ZONES | texts)
def test_expressions(expression: str, zone: str) -> None:
    begun = time.process_time()
    try:
        due = recurrence.parse(expression, zone, NOW).after(NOW)
    except InvalidInputError as error:
        assert {field.field for field in error.fields} <= {"schedule", "timezone"}
    else:
        assert due is None or due > NOW
    assert time.process_time() - begun < 2


def patterns() -> dict[str, re.Pattern[str]]:
    """All that modules of the library have compiled. `devtools` reads no text from outside; `serving/http` needs an
    extra that not every Python has.
    """
    found, root = {}, Path(worldflow.__file__).parent
    left_out = {"devtools"} if find_spec("starlette") else {"devtools", "http"}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        if not left_out & {*parts[:-1]} and parts[-1] not in ("__init__", "__main__"):
            module = importlib.import_module(".".join(parts))
            found |= {
                f"{module.__name__}.{name}": value for name, value in vars(module).items() if type(value) is re.Pattern
            }
    return found


LONG = 20_000
PARTS = ("a", "1", "~", "~1", "1.", ".", "-", "/", "(", " ", "\n", "#", "a-a/1", "*/", "\u0663", "$")
NASTY = [begin + part * LONG for begin in ("", "cron(", "rate(1", "#", "a") for part in PARTS]


@pytest.mark.parametrize("name", patterns())
def test_no_pattern_goes_back_for_long(name: str) -> None:
    pattern = patterns()[name]
    begun = time.process_time()
    for text in NASTY:
        for tail in ("", "!", "~x", "1s"):
            pattern.fullmatch(text + tail)
    assert time.process_time() - begun < 1


def test_a_long_text_that_is_no_duration_is_refused_at_once() -> None:
    begun = time.process_time()
    with pytest.raises(ValueError):
        durations.seconds("1" * 4_000)
    assert time.process_time() - begun < 0.1


def test_a_number_that_is_too_large_is_no_duration() -> None:
    with pytest.raises(ValueError):
        durations.seconds(10**400)
