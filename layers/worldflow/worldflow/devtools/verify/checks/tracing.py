"""Traces: of invocations in X-Ray, and of runs by OpenTelemetry."""

from __future__ import annotations

import time
import uuid
from collections.abc import Generator
from datetime import UTC, datetime

from worldflow.devtools.verify.failures import Failed, Skipped, Undecided
from worldflow.devtools.verify.outcome import check
from worldflow.devtools.verify.target import FUNCTIONS, Target

NO_XRAY = "the local AWS has no X-Ray"


@check(
    "Traces",
    statements=("OrchestratorRole.Trace", "StepExecutorRole.Trace", "SignalRole.Trace", "CaretakerRole.Trace"),
    only_on_aws=NO_XRAY,
    look=FUNCTIONS,
)
def traces(target: Target) -> Generator[None, None, str]:
    """X-Ray has traces of the functions, of which it samples the first request of each second."""
    if target.parameter("Tracing") != "XRay":
        raise Skipped("the stack sends no traces to X-Ray: PARAMETERS=Tracing=XRay")
    if target.is_local:
        raise Undecided(NO_XRAY)
    yield
    name = target.outputs["SignalFunctionName"]

    def traced() -> int | None:
        found = target.client("xray").get_trace_summaries(
            StartTime=target.began, EndTime=datetime.now(UTC), FilterExpression=f'service("{name}")'
        )
        return len(found["TraceSummaries"]) or None

    return f"{target.until(traced, 120, f'X-Ray has no trace of {name}')} traces of the API's function"


@check(
    "The trace of a run",
    statements=("OrchestratorRole.Trace", "StepExecutorRole.Trace"),
    behaviour="ADOT's layer sends spans to X-Ray, or the functions to your collector",
    only_on_aws=NO_XRAY,
    look=("Orchestrator", "StepExecutor"),
)
def spans(target: Target) -> Generator[None, None, str]:
    """With Tracing=OpenTelemetry a run has its spans in the trace of the request that started it, in X-Ray. Where they
    go to a collector, nobody but its owner can see them: then no function logs that it could not send.
    """
    if target.parameter("Tracing") != "OpenTelemetry":
        raise Skipped("the stack traces no runs: PARAMETERS='Tracing=OpenTelemetry TracingLayerArn=...'")
    endpoint = target.parameter("OtlpEndpoint")
    if target.is_local and not endpoint:
        raise Undecided(NO_XRAY)
    trace_id = f"{int(time.time()):08x}{uuid.uuid4().hex[:24]}"  # X-Ray's ids begin with the time
    traceparent = f"00-{trace_id}-{uuid.uuid4().hex[:16]}-01"
    run_id = target.start("hello", {"name": "traced"}, headers={"traceparent": traceparent})
    target.ended(run_id)
    yield
    for function in ("Orchestrator", "StepExecutor"):
        if lines := target.log_lines(function, '?"nothing is traced" ?"could not be sent" ?"Failed to export"'):
            raise Failed(f"{function}: {lines[-1][:400]}")
    if endpoint:
        raise Undecided(f"no function logs a failure; only {endpoint} knows whether it has trace {trace_id}")
    xray_id = f"1-{trace_id[:8]}-{trace_id[8:]}"

    def traced() -> bool | None:
        found = target.client("xray").batch_get_traces(TraceIds=[xray_id])["Traces"]
        return any(run_id in segment["Document"] for trace in found for segment in trace["Segments"]) or None

    target.until(traced, 120, f"X-Ray has no span of run {run_id} in trace {xray_id}")
    return f"X-Ray has run {run_id} in trace {xray_id}"
