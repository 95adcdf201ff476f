"""A function that is not told its resources says which, and does not start."""

import pytest

from tests.support.aws import Stack
from tests.support.lambdas import load_function, own_log
from worldflow import ConfigurationError
from worldflow.settings import Settings

REQUIRED = ["EVENTS_TABLE", "RUNS_TABLE", "STEP_QUEUE_URL"]
# Found beside the queue of steps where that is named as it should be.
QUEUES = ["RUN_QUEUE_URL", "TIMER_QUEUE_URL"]


@pytest.mark.parametrize("function", ["orchestrator", "step_executor", "signal"])
@pytest.mark.parametrize("name", REQUIRED)
def test_the_missing_variable_is_named(stack: Stack, monkeypatch: pytest.MonkeyPatch, function: str, name: str) -> None:
    monkeypatch.delenv(f"WORLDFLOW_{name}")

    with own_log(), pytest.raises(ConfigurationError, match=f"WORLDFLOW_{name}"):
        load_function(function)


def test_all_missing_variables_are_named_at_once(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in REQUIRED + QUEUES:
        monkeypatch.delenv(f"WORLDFLOW_{name}")

    with own_log(), pytest.raises(ConfigurationError) as caught:
        load_function("signal")
    assert all(f"WORLDFLOW_{name}" in str(caught.value) for name in REQUIRED + QUEUES)


@pytest.mark.parametrize("name", REQUIRED)
def test_an_empty_variable_is_missing(stack: Stack, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"WORLDFLOW_{name}", "")

    with own_log(), pytest.raises(ConfigurationError, match=f"WORLDFLOW_{name}"):
        load_function("orchestrator")


def test_the_other_queues_are_found_beside_the_queue_of_steps(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in QUEUES:
        monkeypatch.delenv(f"WORLDFLOW_{name}")

    with own_log():
        app = load_function("signal").function
    assert app.world.settings.run_queue_url == stack.urls["runs"]
    assert app.world.settings.timer_queue_url == stack.urls["timers"]


def test_the_limit_of_histories_can_be_told(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLDFLOW_HISTORY_LIMIT", "200")
    assert Settings.from_environment().history_limit == 200

    monkeypatch.setenv("WORLDFLOW_HISTORY_LIMIT", "many")
    with pytest.raises(ConfigurationError, match="WORLDFLOW_HISTORY_LIMIT is not valid"):
        Settings.from_environment()
