"""Two hundred seeds of the simulation: whatever goes wrong, nothing is lost, doubled, early or stuck.

`make simulate` runs more of them.
"""

from collections import Counter

import pytest

from tests.simulation import course
from tests.simulation.faults import RATES
from tests.simulation.shrinking import shrink, trace

SEEDS = 200
PART = 25

injected: Counter[str] = Counter()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_whatever_goes_wrong(first: int) -> None:
    for seed in range(first, first + PART):
        report = course.run(seed)
        injected.update(report.injected)
        if report.problems:
            shortest, _ = shrink(report)
            notes = "\n".join(map(str, trace(shortest)))
            problems = "\n".join(shortest.problems)
            pytest.fail(f"seed {seed} (make simulate SEED={seed}):\n{notes}\n\n{problems}", pytrace=False)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_seed_is_the_same_each_time() -> None:
    for seed in (3, 4):
        one, other = course.run(seed), course.run(seed)
        assert [str(note) for note in one.notes] == [str(note) for note in other.notes]
        assert one.injected == other.injected


def test_every_kind_of_fault_is_injected() -> None:
    """By as many seeds as one process has run: with several, each has but a part of them."""
    found = injected or sum((course.run(seed).injected for seed in range(PART)), Counter[str]())
    assert not set(RATES) - set(found) - _RARE, "a simulation that injects nothing finds nothing"


_RARE = {"schedule fires twice", "crash between two sends", "delivered twice", "outlives its visibility"}
"""Some take what not every program has, such as a timer of more than a quarter of an hour."""
