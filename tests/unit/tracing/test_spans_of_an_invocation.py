"""What a function does at the end of an invocation: spans are sent, and a collector that is away holds nothing up."""

import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.util._once import Once

from tests.support.otlp import OtlpCollector
from worldflow.engine.history import StepCompleted
from worldflow.serving import powertools
from worldflow.tracing import sending
from worldflow.tracing.functions import ENDPOINT
from worldflow.tracing.sending import FLUSH_SECONDS, Flush, exporter_to, provider_of, traces_url
from worldflow.turns.observer import Attempt
from worldflow.worlds.local.world import LocalWorld
from worldflow.worlds.messages import StepTask

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def cold(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process in which nothing is set up."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(powertools, "_flush", None)
    monkeypatch.setenv("WORLDFLOW_TRACING", "OpenTelemetry")
    for name in (ENDPOINT, "AWS_LAMBDA_EXEC_WRAPPER", "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER"):
        monkeypatch.delenv(name, raising=False)
    yield
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


@pytest.fixture
def endpoint(collector: OtlpCollector, monkeypatch: pytest.MonkeyPatch) -> OtlpCollector:
    monkeypatch.setenv(ENDPOINT, collector.url + "/v1/traces")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "worldflow-dev")
    return collector


class Function:
    """A function that runs a step."""

    def __init__(self) -> None:
        self.observer = powertools.tracing_observer()
        self.handler = powertools.traced(self._handle)

    def _handle(self, event: dict[str, Any], context: object) -> dict[str, Any]:
        world = LocalWorld()
        task = StepTask(run_id="one", step_id="s1", name="charge", traceparent=CALLER)
        attempt = Attempt(task, False, False, None, world.now())
        if self.observer:
            with self.observer.attempt(attempt):
                attempt.outcome = StepCompleted(step_id="s1")
        world.close()
        return {"result": event["body"]}

    def __call__(self) -> str:
        return str(self.handler({"body": "done"}, None)["result"])


def test_its_spans_have_arrived_when_it_returns(endpoint: OtlpCollector):
    function = Function()
    assert function() == "done"
    span = endpoint.one("step charge")
    assert span.resource["service.name"] == "worldflow-dev"
    assert function() == "done"
    assert len(endpoint.spans) == 2


def test_what_libraries_trace_goes_with_them(endpoint: OtlpCollector):
    function = Function()
    with trace.get_tracer("httpx").start_as_current_span("GET"):
        pass
    function()
    assert len(endpoint.named("GET")) == 1


def test_spans_are_sent_also_where_it_fails(endpoint: OtlpCollector):
    function = Function()
    with pytest.raises(KeyError):
        function.handler({}, None)
    assert len(endpoint.named("step charge")) == 1


def test_a_collector_that_does_not_answer_is_waited_for_once(endpoint: OtlpCollector, monkeypatch: pytest.MonkeyPatch):
    assert FLUSH_SECONDS == 1
    monkeypatch.setattr(Flush, "__init__", _with_seconds(0.001))
    endpoint.hangs = threading.Event()
    function = Function()
    assert (function(), function(), function()) == ("done", "done", "done")
    assert endpoint.spans == []
    flush = powertools._flush
    assert isinstance(flush, Flush)
    assert flush() is False  # the first request is under way still, and nobody waits for it any more
    endpoint.hangs.set()
    assert flush._thread is not None
    flush._thread.join()
    assert len(endpoint.spans) >= 1


def _with_seconds(seconds: float) -> Any:
    initialise = Flush.__init__
    return lambda self, provider: initialise(self, provider, seconds)


def test_a_collector_that_is_not_there_fails_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9/v1/traces")
    monkeypatch.setattr(Flush, "__init__", _with_seconds(0.001))
    monkeypatch.setattr(sending, "REQUEST_SECONDS", 0.001)
    assert Function()() == "done"


def test_what_another_has_set_up_is_used(collector: OtlpCollector):
    provider = provider_of("own", shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter_to(collector.url)))
    trace.set_tracer_provider(provider)
    assert Function()() == "done"
    assert collector.one("step charge").resource["service.name"] == "own"


def test_where_adots_wrapper_sends_at_the_end_nothing_else_does(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_LAMBDA_EXEC_WRAPPER", "/opt/otel-instrument")
    provider = provider_of("adot", shutdown_on_exit=False)
    trace.set_tracer_provider(provider)
    monkeypatch.setattr(provider, "force_flush", lambda *_: pytest.fail("sent twice"))
    assert Function()() == "done"


@pytest.mark.parametrize("absent", ["opentelemetry", "opentelemetry.exporter", "opentelemetry.sdk"])
def test_without_opentelemetry_it_works_untraced_and_says_what_to_add(
    absent: str, endpoint: OtlpCollector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith("worldflow.tracing.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)
    with caplog.at_level(logging.ERROR, "worldflow"):
        assert Function()() == "done"
    (record,) = caplog.records
    assert "opentelemetry-sdk" in record.getMessage()


def test_without_an_endpoint_it_works_untraced_and_says_what_is_missing(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.ERROR, "worldflow"):
        assert Function()() == "done"
    (record,) = caplog.records
    assert "TracingLayerArn" in record.getMessage()


@pytest.mark.parametrize("tracing", ["Off", "XRay"])
def test_it_is_for_those_who_ask_for_it(tracing: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLDFLOW_TRACING", tracing)
    assert powertools.tracing_observer() is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
        ("https://example.test/otlp", "https://example.test/otlp/v1/traces"),
        ("https://example.test/v1/traces", "https://example.test/v1/traces"),
    ],
)
def test_where_an_endpoint_takes_traces(url: str, expected: str):
    assert traces_url(url) == expected
