"""`make verify-aws` with Tracing=OpenTelemetry: where a run's spans are looked for, and what cannot be seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from worldflow.devtools.verify.checks import tracing
from worldflow.devtools.verify.failures import Failed
from worldflow.devtools.verify.outcome import Outcome, Result, run_checks

pytestmark = pytest.mark.one_python

LAYER = "arn:aws:lambda:eu-west-1:615299751070:layer:AWSOpenTelemetryDistroPython:13"
COLLECTOR = "http://collector.internal:4318"


@dataclass
class Stack:
    """A target whose runs are in X-Ray under the trace that their start named."""

    parameters: dict[str, str]
    is_local: bool = False
    enforces_iam: bool = True
    logged: list[str] = field(default_factory=list)
    traced: bool = True
    trace_ids: list[str] = field(default_factory=list)

    def parameter(self, name: str) -> str:
        return self.parameters.get(name, "")

    def start(self, workflow: str, input: Mapping[str, Any], *, headers: Mapping[str, str]) -> str:
        _, trace_id, _, flags = headers["traceparent"].split("-")
        assert (workflow, flags) == ("hello", "01")
        self.trace_ids.append(f"1-{trace_id[:8]}-{trace_id[8:]}")
        return "verify-hello"

    def ended(self, run_id: str) -> None:
        assert run_id == "verify-hello"

    def until(self, found: Callable[[], bool | None], within: float, otherwise: str) -> bool:
        if (value := found()) is None:
            raise Failed(otherwise)
        return value

    def client(self, service: str) -> Stack:
        assert service == "xray"
        return self

    def batch_get_traces(self, *, TraceIds: list[str]) -> dict[str, Any]:
        segments = [{"Document": '{"metadata": {"worldflow.run_id": "verify-hello"}}'}]
        return {"Traces": [{"Segments": segments} for one in TraceIds if self.traced and one in self.trace_ids]}

    def log_lines(self, name: str, pattern: str) -> list[str]:
        return self.logged

    def log_group(self, name: str) -> str:
        return f"log group of {name}"

    def last_error(self, name: str) -> str:
        return ""


def result(tracing_parameter: str = "OpenTelemetry", *, endpoint: str = "", **options: Any) -> Result:
    parameters = {"Tracing": tracing_parameter, "TracingLayerArn": LAYER, "OtlpEndpoint": endpoint}
    (found,) = run_checks(Stack(parameters, **options), [tracing.spans])  # type: ignore[arg-type]
    return found


def test_a_run_is_found_in_the_trace_of_its_request() -> None:
    assert result().outcome is Outcome.PASSED


def test_a_run_without_a_trace_fails() -> None:
    found = result(traced=False)
    assert (found.outcome, found.detail[:26]) == (Outcome.FAILED, "X-Ray has no span of run v")


def test_spans_that_could_not_be_sent_fail_it() -> None:
    found = result(endpoint=COLLECTOR, logged=["spans could not be sent"])
    assert (found.outcome, found.detail) == (Outcome.FAILED, "Orchestrator: spans could not be sent")


def test_what_a_collector_has_is_not_decided() -> None:
    found = result(endpoint=COLLECTOR, traced=False)
    assert found.outcome is Outcome.UNDECIDED
    assert COLLECTOR in found.detail


def test_an_emulator_has_no_traces() -> None:
    assert result(is_local=True).outcome is Outcome.UNDECIDED


@pytest.mark.parametrize("other", ["Off", "XRay"])
def test_a_stack_that_traces_no_runs_skips_it(other: str) -> None:
    assert result(other).outcome is Outcome.SKIPPED
