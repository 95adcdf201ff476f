"""Items of streams as Server-Sent Events, read as a browser reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worldflow import InvalidInputError, StreamItem, StreamReset
from worldflow.runtime import sse

VALUES: list[Any] = ["", "two\nlines\r\nand\rmore", "\u2028 \u0085 é 😀", None, True, 1.5, {"data: x": ["\n\n", {}]}]


def fields(text: bytes) -> dict[str, str]:
    """The one event of a text, whose lines end as the standard says."""
    lines = text.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert lines[-2:] == ["", ""]
    return {name: value for name, value in (line.split(": ", 1) for line in lines[:-2])}


@pytest.mark.parametrize("value", VALUES)
def test_any_value_is_one_event(value: Any) -> None:
    found = fields(sse.event(StreamItem(7, value, "s1", 2)))
    assert found.keys() == {"id", "data"}
    assert found["id"] == "7"
    assert json.loads(found["data"]) == {"offset": 7, "value": value, "step_id": "s1", "attempt": 2}


def test_a_number_that_json_has_not_is_null() -> None:
    found = fields(sse.event(StreamItem(1, float("nan"), None, None)))
    assert json.loads(found["data"]) == {"offset": 1, "value": None, "step_id": None, "attempt": None}


def test_a_reset_is_an_event_of_its_own_type() -> None:
    found = fields(sse.event(StreamReset(8, "s1", 2, 3)))
    assert (found["id"], found["event"]) == ("8", "reset")
    assert json.loads(found["data"]) == {"offset": 8, "reset": True, "step_id": "s1", "attempt": 2, "since": 3}


def test_the_end_has_an_id_that_says_so() -> None:
    found = fields(sse.end(8))
    assert (found["id"], found["event"], json.loads(found["data"])) == ("8-end", "end", {"next": 8, "ended": True})
    assert sse.resumed(found["id"], 0) is None


@pytest.mark.parametrize(("header", "after"), [(None, 3), ("", 3), ("0", 0), ("12", 12)])
def test_a_reader_goes_on_after_the_last_event_that_it_has_seen(header: str | None, after: int) -> None:
    assert sse.resumed(header, 3) == after


@pytest.mark.parametrize("header", ["x", "-1", "1.5", "1 end", "end", "1-end-end", "99999999999", "٣", " 1"])
def test_what_is_no_id_of_these_events_is_refused(header: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        sse.resumed(header, 0)
    assert [field.field for field in refused.value.fields] == ["Last-Event-ID"]
