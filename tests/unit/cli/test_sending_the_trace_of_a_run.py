import sys
from collections.abc import Iterator

import pytest

from tests.support.otlp import OtlpCollector, otlp_collector
from tests.unit.cli.conftest import Cli


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpCollector]:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    with otlp_collector() as collector:
        yield collector


@pytest.fixture
def one(cli: Cli) -> None:
    cli("start", "tomorrow", "--run-id", "one", "--input", '{"day": "2026-02-28"}')
    cli.settle()


@pytest.mark.usefixtures("one")
def test_a_collector_gets_it(cli: Cli, collector: OtlpCollector):
    told = cli.json("trace", "one", "--otlp", collector.url)

    run, attempt = collector.one("run tomorrow"), collector.one("step day_after")
    assert collector.paths == ["/v1/traces"]
    assert told == {"spans": 2, "traces": [run.trace_id]}
    assert run.parent_id == ""
    assert attempt.parent_id == run.span_id
    assert run.begin <= attempt.begin <= attempt.end <= run.end
    assert run.resource["service.name"] == "worldflow"
    assert run.attributes["worldflow.run_id"] == "one"
    assert attempt.attributes["worldflow.attempt"] == 1


@pytest.mark.usefixtures("one")
def test_sent_again_it_is_the_same_trace(cli: Cli, collector: OtlpCollector):
    first = cli("trace", "one", "--otlp", collector.url + "/v1/traces")
    assert cli("trace", "one", "--otlp", collector.url, "--service", "orders") == first
    spans = {(span.trace_id, span.span_id, span.name) for span in collector.spans}
    assert (len(collector.spans), len(spans)) == (4, 2)
    assert {span.resource["service.name"] for span in collector.spans} == {"worldflow", "orders"}


def test_a_long_run_comes_in_parts(cli: Cli, collector: OtlpCollector, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("worldflow.tracing.sending.BATCH", 3)
    cli("start", "countdown", "--run-id", "long", "--input", '{"left": 6}')
    cli.settle()
    assert cli.json("trace", "long", "--otlp", collector.url)["spans"] == 7
    assert len(collector.paths) == 3
    assert len(collector.named("run countdown")) == 7


@pytest.mark.usefixtures("one")
def test_a_collector_that_refuses_it(cli: Cli, collector: OtlpCollector):
    collector.status = 400
    told = cli.fails("trace", "one", "--otlp", collector.url)
    assert told.startswith(f"Error: {collector.url} did not accept the spans: ")
    assert told.count("\n") == 1


@pytest.mark.usefixtures("one")
def test_what_is_no_url(cli: Cli):
    assert "http://localhost:4318" in cli.fails("trace", "one", "--otlp", "localhost:4318")


@pytest.mark.usefixtures("one")
def test_a_run_that_there_is_not(cli: Cli, collector: OtlpCollector):
    assert "nobody" in cli.fails("trace", "nobody", "--otlp", collector.url)


@pytest.mark.usefixtures("one")
def test_without_opentelemetry_it_says_what_to_install(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)
    assert 'pip install "worldflow[otel]"' in cli.fails("trace", "one", "--otlp", "http://localhost:4318")
