"""Whatever the data of the events of a history is, and whatever of it comes again: it is read as it was written."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from worldflow.engine.values.repeats import SMALLEST, Repeats, Shared, restore

TEXTS = [letter * size for letter in "ab" for size in (1, 40, SMALLEST, 900)]

KEYS = st.sampled_from(["a", "$same", "$payload", "$encoded", "bytes", "é", "k" * 120])

SMALL = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.0, 1.0, float("inf")]) | st.sampled_from(TEXTS)
)

VALUES = st.recursive(
    SMALL,
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(KEYS, parts, max_size=4),
    max_leaves=12,
)


@st.composite
def histories(draw: st.DrawFn) -> list[Any]:
    """The data of events, made of what events before had and of what is new."""
    known: list[Any] = [draw(VALUES)]
    events: list[Any] = []
    for _ in range(draw(st.integers(1, 6))):
        parts = st.sampled_from(known) | VALUES
        begun = draw(st.sampled_from([each for each in known if isinstance(each, list)] or [[]]))
        first, last = sorted(draw(st.tuples(st.integers(0, len(begun)), st.integers(0, len(begun)))))
        value = draw(
            parts
            | st.lists(parts, max_size=3).map(lambda more, kept=begun[first:last]: [*kept, *more])  # type: ignore[misc]
            | st.dictionaries(KEYS, parts, max_size=3)
        )
        known.append(value)
        if isinstance(value, dict):
            known += value.values()
        events.append(from_json(to_json(value, inf_nan_mode="constants")))
    return events


def written(value: Any) -> str:
    return to_json(value, inf_nan_mode="constants").decode()


@given(histories(), st.integers(0, 6))
def test_data_is_read_as_it_was_written(events: list[Any], lost: int) -> None:
    repeats, stored = Repeats(), dict[int, Any]()
    whole: dict[int, Any] = {}
    for seq, value in enumerate(events, 1):
        before = copy.deepcopy(value)
        if seq == lost:  # another process reads the history, and goes on
            repeats = Repeats([(n, whole[n], _borrowed(stored[n])) for n in whole])
        shared = repeats.share(seq, value)
        assert written(value) == written(before), "what is to be written was changed"
        stored[seq] = Shared(*from_json(to_json([shared.borrowed, shared.rest]))) if shared else value
        whole[seq] = restore(stored[seq], whole.__getitem__) if shared else value

        assert written(whole[seq]) == written(before)
        assert all(place[0] < seq for _, place, *_ in _borrowed(stored[seq])), "it may only borrow from earlier events"


@given(histories())
def test_what_was_read_before_stays_as_it_is(events: list[Any]) -> None:
    repeats, whole, texts = Repeats(), dict[int, Any](), dict[int, str]()
    for seq, value in enumerate(events, 1):
        shared = repeats.share(seq, value)
        whole[seq] = restore(shared, whole.__getitem__) if shared else value
        texts[seq] = written(value)

    assert {seq: written(value) for seq, value in whole.items()} == texts


def _borrowed(stored: Any) -> Any:
    return stored.borrowed if isinstance(stored, Shared) else ()
