"""The language of `--where`: what it says, and how it fails."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.clock import START
from worldflow import InvalidInputError
from worldflow.runtime.where import describe, read_where


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("", {}),
        ("  status=failed  ", {"status": "failed"}),
        ("workflow=order id=order-* parent=p~c1", {"workflow": "order", "id_prefix": "order-", "parent": "p~c1"}),
        ('text~"waiting for" workflow="order"', {"status_text": "waiting for", "workflow": "order"}),
        (r'text~"say \"hi\""', {"status_text": 'say "hi"'}),
        (
            'attribute.customer=42 attribute.name="42" attribute.a.b=x=y attribute.paid=true',
            {"attributes": {"customer": 42, "name": "42", "a.b": "x=y", "paid": True}},
        ),
        ("attribute.list=[1]", {"attributes": {"list": "[1]"}}),
        ("started>2026-11-01", {"started_after": datetime(2026, 11, 1, tzinfo=UTC)}),
        ("started>=2026-11-01T02:00+02:00", {"started_after": datetime(2026, 11, 1, tzinfo=UTC)}),
        (
            "started<1d ended>1h30m",
            {"started_before": START - timedelta(1), "ended_after": START - timedelta(hours=1.5)},
        ),
        ("ended<2026-11-01T12:30", {"ended_before": datetime(2026, 11, 1, 12, 30, tzinfo=UTC)}),
    ],
)
def test_what_it_says(text: str, filters: dict[str, Any]) -> None:
    assert read_where(text, START) == filters


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("workflow=a status=faild", r"^position 12: 'faild' is not a status; allowed: one of running, completed"),
        ("state=failed", r"^position 1: there is no condition state=; allowed: status=STATUS, workflow=NAME"),
        ("status=failed  failed", r"^position 16: 'failed' is not a condition"),
        ("status>failed", r"^position 1: there is no condition status>"),
        ("started=1d", r"^position 1: there is no condition started="),
        ("attribute.=1", r"^position 1: there is no condition attribute.="),
        ("status=", r"^position 1: status= needs a value"),
        ("status=failed status=blocked", r"^position 15: status= is given twice"),
        ("attribute.a=1 attribute.a=2", r"^position 15: attribute.a is given twice"),
        ("id=order-1", r"^position 1: id takes the beginning of an id; allowed: with a \* at its end"),
        ("id=*", r"^position 1: id takes the beginning of an id"),
        ("started>yesterday", r"^position 1: 'yesterday' is not a time; allowed: a date, such as 2026-11-29"),
        ("started>99999999d", r"^position 1: '99999999d' is not a time"),
        ('text~"open', r"""^position 1: 'text~"open' is not a condition"""),
        (r'text~"\q"', r"^position 1: .* is not text in quotes"),
    ],
)
def test_what_it_does_not_say_is_refused_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem) as caught:
        read_where(text, START)
    assert [field.field for field in caught.value.fields] == ["where"]


def test_in_words_a_duration_is_the_moment_that_it_stands_for() -> None:
    noon = datetime(2026, 11, 29, 12, tzinfo=UTC)
    filters = read_where('status=failed started>2026-11-01 started<1d attribute.customer="42" id=a*', noon)
    assert describe(filters) == (
        "status failed, id begins with a, started at or after 2026-11-01 00:00:00 UTC, "
        'started before 2026-11-28 12:00:00 UTC, attribute customer = "42"'
    )
