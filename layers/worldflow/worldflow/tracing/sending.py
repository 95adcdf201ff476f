"""Where spans are sent: to an OTLP endpoint, by the SDK of OpenTelemetry."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from worldflow.engine.errors import ConfigurationError
from worldflow.engine.privacy import loggable
from worldflow.tracing.described import TracedSpan

_log = logging.getLogger("worldflow")

BATCH = 500
"""Spans of one request."""

FLUSH_SECONDS = 1.0
"""The most that an invocation waits for its spans to be sent. What is not sent by then is sent with the next ones."""

REQUEST_SECONDS = 5.0
"""The most that one request takes, with what is tried again of it. Then its spans are dropped."""

INSTALL = 'OpenTelemetry is not installed: pip install "worldflow[otel]"'


def missing(error: ModuleNotFoundError) -> bool:
    """Whether it is a part of OpenTelemetry that could not be imported."""
    return (error.name or "").partition(".")[0] == "opentelemetry"


@contextmanager
def requirements() -> Iterator[None]:
    """Says of parts of OpenTelemetry that cannot be imported within it how they are installed: `ConfigurationError`."""
    try:
        yield
    except ModuleNotFoundError as error:
        if not missing(error):
            raise
        raise ConfigurationError(INSTALL) from None


def traces_url(url: str) -> str:
    """Where an OTLP endpoint takes traces, as OTEL_EXPORTER_OTLP_ENDPOINT has it: at `/v1/traces` of it.

    Raises `ConfigurationError` for what is no URL of HTTP.
    """
    if not url.startswith(("http://", "https://")) or not url.partition("://")[2].strip("/"):
        raise ConfigurationError(f"{url!r} is not an OTLP endpoint: use a URL such as http://localhost:4318")
    return url if url.endswith("/v1/traces") else url.rstrip("/") + "/v1/traces"


def exporter_to(url: str, *, timeout: float | None = None) -> Any:
    """The exporter of spans to an OTLP/HTTP endpoint, in protobuf. Raises `ConfigurationError` if not installed.

    timeout: timeout of a request in seconds. Default: OTEL_EXPORTER_OTLP_TIMEOUT.
    """
    endpoint = traces_url(url)
    with requirements():
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    return OTLPSpanExporter(endpoint=endpoint, timeout=timeout)


def provider_of(service: str | None = None, **options: Any) -> Any:
    """A tracer provider of its own.

    service: its `service.name`; what OTEL_SERVICE_NAME says comes first.
    """
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    named = {} if service is None or os.environ.get("OTEL_SERVICE_NAME") else {"service.name": service}
    return TracerProvider(resource=Resource.create(named), **options)


def provider_to(url: str, service: str) -> Any:
    """A tracer provider that sends spans to an OTLP endpoint, in the background. Raises `ConfigurationError`.

    url: what OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT have, for example.
    """
    exporter = exporter_to(url, timeout=REQUEST_SECONDS)
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = provider_of(service, shutdown_on_exit=False)  # which would wait for an endpoint that does not answer
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class Flush:
    """Sends the spans that have ended, and waits `FLUSH_SECONDS` at most.

    A request that takes longer continues in its thread (in Lambda: when the function is called again), and nobody waits
    for it any more. While one does, spans are queued, and where the queue is full they are dropped: an endpoint that
    cannot be reached costs time, but no run.
    """

    def __init__(self, provider: Any, seconds: float = FLUSH_SECONDS) -> None:
        self._provider = provider
        self._seconds = seconds
        self._thread: threading.Thread | None = None

    def __call__(self) -> bool:
        """Returns whether all is sent, as far as is known."""
        flush = getattr(self._provider, "force_flush", None)
        if flush is None:
            return True
        if self._thread is not None and self._thread.is_alive():
            return False  # it has had its time
        self._thread = threading.Thread(target=_quietly, args=(flush,), name="worldflow-flush", daemon=True)
        self._thread.start()
        self._thread.join(self._seconds)
        return not self._thread.is_alive()


def _quietly(flush: Callable[[], object]) -> None:
    try:
        flush()
    except Exception as error:
        _log.warning("spans could not be sent", exc_info=loggable(error))


def recorded(spans: Iterable[TracedSpan], service: str) -> list[Any]:
    """Spans as the SDK has them, all of them: a trace that is asked for is sent whether or not the run was sampled."""
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    from worldflow.tracing.emitting import emit, tracer_of

    ended: list[Any] = []

    class Kept(SpanProcessor):
        def on_end(self, span: Any) -> None:
            ended.append(span)

    provider = provider_of(service, sampler=ALWAYS_ON, shutdown_on_exit=False)
    provider.add_span_processor(Kept())
    tracer = tracer_of(provider)
    for span in spans:
        emit(tracer, span)
    return ended


def send_all(exporter: Any, spans: Sequence[Any]) -> bool:
    """Sends spans in batches. Returns whether all arrived."""
    from opentelemetry.sdk.trace.export import SpanExportResult

    batches = (spans[start : start + BATCH] for start in range(0, len(spans), BATCH))
    return all(exporter.export(batch) is SpanExportResult.SUCCESS for batch in batches)
