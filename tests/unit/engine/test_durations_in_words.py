"""Durations in messages are as people write them, and are read back as what they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldflow.engine.durations import seconds, spoken


@pytest.mark.parametrize(
    ("length", "words"),
    [(0, "0ms"), (0.02, "20ms"), (2, "2s"), (90, "1m30s"), (5_400, "1h30m"), (2_592_000, "30d"), (1.5, "1s500ms")],
)
def test_in_these(length: float, words: str):
    assert spoken(length) == words


@given(st.integers(0, 10**12).map(lambda milliseconds: milliseconds / 1_000))
def test_what_is_spoken_is_a_duration(length: float):
    assert seconds(spoken(length)) == pytest.approx(length, abs=0.001)
