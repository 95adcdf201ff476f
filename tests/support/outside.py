"""Bytes from outside that Hypothesis makes up: JSON that is nearly right, or as bad as can be."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

fuzz = settings(
    max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)

EXTREMES: list[Any] = [
    None, True, 0, -1, 1.5, 2**63, -(2**63) - 1, 10**400, 1e308, float("inf"), float("nan"), "", "\0", "~", "x" * 300,
    "\ud800", "\uffff", "1e999", "NaN", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01", 1e300,
    [], {}, [[]], {"": None}, {"$payload": "r/none", "bytes": 1}, {"$payload": 1}, {"$payload": None, "bytes": "x"},
]  # fmt: skip

WORST: list[bytes] = [
    b"", b" ", b"null", b"[]", b"{}", b"\xff", b"\xef\xbb\xbf{}", b"\0", b"NaN", b"-", b'"', b"{", b'"\\ud800"',
    "{}".encode("utf-16"), b"[" * 100_000, b'{"a":' * 50_000, b"[" * 100_000 + b"]" * 100_000, b"9" * 100_000,
    b"-" + b"9" * 4_301, b"1e" + b"9" * 50_000, b"0." + b"0" * 100_000 + b"1", b'"' + b"\\u0000" * 100_000 + b'"',
    b'{"kind":"start","kind":"poke","run_id":"r","run_id":"s"}', b'{"event_type":"RunStarted","event_type":[]}',
]  # fmt: skip
"""No message, no event, no request. Some are deep, some long, some explode."""

extremes = st.sampled_from(EXTREMES) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def nearly(draw: st.DrawFn, documents: Sequence[Any]) -> bytes:
    """The JSON of one of the documents, with something else in some places, or less, or cut, or bytes changed."""
    document = copy.deepcopy(documents[draw(st.integers(0, len(documents) - 1))])
    for _ in range(draw(st.integers(0, 3))):
        places = list(_places(document))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        if draw(st.booleans()) or isinstance(holder, list):
            holder[key] = copy.deepcopy(draw(extremes))
        else:
            del holder[key]
    data = json.dumps(document).encode()
    match draw(st.integers(0, 9)):
        case 0:
            return data[: draw(st.integers(0, len(data)))]
        case 1:
            at = draw(st.integers(0, len(data)))
            return data[:at] + draw(st.binary(max_size=4)) + data[at + draw(st.integers(0, 4)) :]
    return data


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(items):
        yield document, key
        if isinstance(value, dict | list):
            yield from _places(value)


def outside(documents: Sequence[Any], worst: Sequence[bytes] = WORST) -> st.SearchStrategy[bytes]:
    near = st.deferred(lambda: nearly(documents))  # which says nothing of all the documents
    return near | near | st.sampled_from(worst) | st.binary(max_size=50)


_TEXTS = [value for value in EXTREMES if isinstance(value, str)]
texts = st.text(max_size=40) | st.sampled_from([*_TEXTS, "9" * 5_000, "a" * 1_000_000, "é" * 300, "\u0663", "../x"])
