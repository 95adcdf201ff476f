from pathlib import Path

import pytest

from tests.support.assistant import Assistant
from tests.support.systems import LocalSystem, start
from tests.unit.cli import flows
from worldflow import RetryPolicy, step, workflow
from worldflow.engine.workflow import definitions
from worldflow.runtime import sending, starting


@step(retry=RetryPolicy(max_attempts=3, initial_interval="10m", jitter=0))
async def flaky_for_assistants() -> str:
    raise ConnectionError("the bank is closed")


@workflow
async def calls_the_bank() -> str:
    return await flaky_for_assistants()


def test_what_a_run_waits_for_and_where(local: LocalSystem, assistant: Assistant) -> None:
    start(local, "judged-1", flows.judged)

    told = assistant.call("explain_run", run_id="judged-1")

    line = flows.judged.function.__code__.co_firstlineno + 2
    assert f"{Path(flows.__file__)}:{line}, in judged" in told["explanation"]
    assert told["explanation"].endswith("Waiting for signal 'verdict'.")
    assert "send the signal 'verdict' (send_signal)" in told["what_to_do"][-1]


def test_a_step_that_is_retried(local: LocalSystem, reader: Assistant) -> None:
    start(local, "bank-1", calls_the_bank)

    told = reader.call("explain_run", run_id="bank-1")

    assert "Attempt 2 of flaky_for_assistants in " in told["explanation"]
    assert "the last failed with ConnectionError." in told["explanation"]
    assert told["waits_for"][0]["last_error"] == "ConnectionError: the bank is closed"


def test_a_run_that_failed(local: LocalSystem, assistant: Assistant) -> None:
    start(local, "doomed-1", flows.doomed)

    told = assistant.call("explain_run", run_id="doomed-1")

    assert told["status"] == "failed"
    assert "The error comes from step 'give_up' (s1), which failed in attempt 1." in told["explanation"]
    assert "retry_run" in told["what_to_do"][0]


def test_a_run_that_is_blocked(local: LocalSystem, reader: Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    start(local, "judged-1", flows.judged)
    monkeypatch.setattr(definitions._workflows, "_versions", {"other": {}})
    local.restart()
    sending.signal(local.world, "judged-1", "verdict", True)
    local.settle()

    told = reader.call("explain_run", run_id="judged-1")

    assert told["status"] == "blocked"
    assert "there is no workflow 'judged'" in told["explanation"]
    assert "patched()" in told["what_to_do"][0]


def test_a_run_of_a_file_that_no_worker_serves(local: LocalSystem, reader: Assistant) -> None:
    starting.start(local.world, "judged-1", flows.judged, {})

    told = reader.call("explain_run", run_id="judged-1")

    assert "has not started" in told["explanation"]
    assert "python -m worldflow worker --local FILE" in told["what_to_do"][0]


def test_a_run_that_has_ended(local: LocalSystem, assistant: Assistant) -> None:
    start(local, "countdown-1", flows.countdown, left=1)
    start(local, "judged-1", flows.judged)
    assistant.call("cancel_run", run_id="judged-1", reason="no jury")
    local.settle()

    first, last = (assistant.call("explain_run", run_id=f"countdown-1{suffix}") for suffix in ("", "~2"))
    cancelled = assistant.call("explain_run", run_id="judged-1")

    assert "continued as new" in first["explanation"] and "countdown-1~2" in first["what_to_do"][0]
    assert 'and returned "done".' in last["explanation"]
    assert "no jury" in cancelled["explanation"]


def test_advice_that_the_server_cannot_follow_says_so(
    local: LocalSystem, reader: Assistant, assistant: Assistant
) -> None:
    start(local, "doomed-1", flows.doomed)

    assert "--allow-writes" in reader.call("explain_run", run_id="doomed-1")["what_to_do"][-1]
    assert "--allow-writes" not in assistant.call("explain_run", run_id="doomed-1")["what_to_do"][-1]
