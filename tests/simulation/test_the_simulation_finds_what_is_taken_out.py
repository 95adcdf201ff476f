"""A simulation that finds nothing may be too tame: with one of the engine's guards taken out, some seed fails.

These are found soon; `python -m tests.simulation --without NAME` looks for the others in `guards.py`.
"""

import pytest

from tests.simulation import course
from tests.simulation.guards import without

SEEDS = 500


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "guard",
    [
        "a commit is written if it is the next",
        "what was received before is done again",
        "the ledger is asked",
        "a fact is recorded once",
        "an outcome is of the open attempt",
        "what is held is applied",
        "what failed is discarded",
        "an attempt has a group of its own",
        "values take no time of a workflow",
        "who spins is stopped",
        "what happened first is applied first",
        "what nobody wants is not begun",
        "a step has a task of its own",
        "what is received is a copy",
        "an outage is no death",
        "what is collected decides nothing",
        "a later attempt looks at what is there",
        "streams are written again",
        "what a stream has is counted",
    ],
)
def test_a_guard_that_is_missing_is_found(guard: str) -> None:
    with without(guard):
        assert any(course.run(seed).problems for seed in range(SEEDS))
