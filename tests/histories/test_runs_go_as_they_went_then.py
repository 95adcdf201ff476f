"""What happened to the runs of earlier releases, done again: on this one they end in the same way."""

import logging

import pytest

from tests.histories.record import RECIPES, record
from tests.histories.stored import files, load

BY_CHANCE = ("chance", "values")
"""Recipes whose results hold random numbers and UUIDs, which differ from run to run."""

WAITS_ON = ("signals",)
"""Recipes that send a value that does not fit, which was an error at the wait, and caught. Now the wait goes on, unless
it has `on_misfit="raise"`. What was recorded replays as it was: see
`tests/unit/engine/test_recorded_histories_replay.py`.
"""

MENDED = {
    "iteration: RuntimeError 'coroutine raised StopIteration' from StepError 'builtins:StopIteration: over' "
    "type_name='builtins:StopIteration'": "iteration: StepError 'builtins:StopIteration: over' "
    "type_name='builtins:StopIteration'",
}
"""What a workflow catches now where it caught something else: the error of a step is what docs/guide/errors.md says."""


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What some recipes log (a lone surrogate) cannot be told from one test process to another."""
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)


@pytest.mark.parametrize("name", RECIPES)
def test_it_ends_as_it_did_then(name: str):
    recorded = [load(path) for path in files().values() if path.stem == name]
    assert recorded, f"{name} was never recorded: python -m tests.histories.record RELEASE"
    now = record("now", name, RECIPES[name]).header
    if name in WAITS_ON:
        assert now.status == "running"
        return
    for then in (stored.header for stored in recorded):
        assert (now.workflow, now.status) == (then.workflow, then.status)
        result = [MENDED.get(line, line) for line in then.result] if name == "catches" else then.result
        assert name in BY_CHANCE or now.result == result
        assert (now.error and (now.error.type, now.error.message)) == (
            then.error and (then.error.type, then.error.message)
        )
