from datetime import timedelta

import pytest

from worldflow.presentation import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (-1, "0 ms"),
        (0.4204, "420 ms"),
        (0.9999, "1 s"),
        (3.14, "3.1 s"),
        (59.94, "59.9 s"),
        (59.99, "1 min"),
        (125, "2 min 5 s"),
        (3_600, "1 h"),
        (3_605, "1 h"),
        (86_400 * 3 + 3_600 * 4 + 60, "3 d 4 h"),
    ],
)
def test_in_the_two_largest_units(seconds: float, words: str):
    assert duration(timedelta(seconds=seconds)) == words
