"""The command that sends the trace of a past run to a collector."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from worldflow.cli.common import AsJson, Local, RunId, Stack, open_world, print_json
from worldflow.engine.errors import ConfigurationError
from worldflow.terminal import console


def trace(
    run_id: RunId,
    otlp: Annotated[
        str,
        typer.Option(
            "--otlp",
            envvar="OTEL_EXPORTER_OTLP_ENDPOINT",
            metavar="URL",
            help="Collector that receives OTLP over HTTP, such as http://localhost:4318.",
        ),
    ],
    service: Annotated[str, typer.Option(help="service.name of the spans; OTEL_SERVICE_NAME takes precedence.")] = (
        "worldflow"
    ),
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Send the trace of a run, of the runs that follow it and of their children, built from their histories."""
    from worldflow.tracing.sending import exporter_to, recorded, send_all
    from worldflow.tracing.walking import whole_trace

    exporter = exporter_to(otlp)
    with open_world(local, stack) as world:
        spans = recorded(whole_trace(world, run_id), service)
    problems = _Problems()
    log = logging.getLogger("opentelemetry")
    log.addHandler(problems)
    log.propagate = False
    try:
        arrived = send_all(exporter, spans)
    finally:
        exporter.shutdown()
        log.removeHandler(problems)
        log.propagate = True
    if not arrived:
        because = f": {problems.last}" if problems.last else ""
        raise ConfigurationError(f"{otlp} did not accept the spans{because}")
    traces = sorted({f"{span.context.trace_id:032x}" for span in spans})
    if as_json:
        print_json({"spans": len(spans), "traces": traces})
        return
    console().print(
        f"{len(spans)} spans of trace {', '.join(traces)}" if spans else "no spans yet: nothing has finished"
    )


class _Problems(logging.Handler):
    """Keeps what OpenTelemetry says of a request that failed, as a reason for one error."""

    last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage().partition("\n")[0].rstrip(".")
