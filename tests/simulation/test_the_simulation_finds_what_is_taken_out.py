"""A simulation that finds nothing may be too tame: with one of the engine's guards taken out, some seed fails.

These are found soon; `python -m tests.simulation --without NAME` looks for the others in `guards.py`.
"""

import pytest

from tests.simulation import course
from tests.simulation.guards import without

SEEDS = 500

GUARDS = {
    "a commit is written if it is the next": 4,
    "what was received before is done again": 0,
    "the ledger is asked": 0,
    "a fact is recorded once": 0,
    "an outcome is of the open attempt": 0,
    "what is held is applied": 0,
    "what failed is discarded": 0,
    "an attempt has a group of its own": 17,
    "values take no time of a workflow": 0,
    "who spins is stopped": 20,
    "what happened first is applied first": 70,
    "what nobody wants is not begun": 292,
    "a step has a task of its own": 39,
    "what is received is a copy": 81,
    "an outage is no death": 20,
    "what is collected decides nothing": 0,
    "a later attempt looks at what is there": 28,
    "streams are written again": 0,
    "what a stream has is counted": 0,
    "a limit counts its holders": 22,
    "a place is given by the next commit": 104,
    "places go by priority": 79,
    "a limited run asks": 79,
    "a start is added if it is the next": 653,
    "what is paused waits": 19,
}
"""Each with a seed that fails without it, as far as one is known. It is tried first, and then all others: what a seed
does depends on the code.
"""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("guard", GUARDS)
def test_a_guard_that_is_missing_is_found(guard: str) -> None:
    with without(guard):
        assert any(course.run(seed).problems for seed in (GUARDS[guard], *range(SEEDS)))
