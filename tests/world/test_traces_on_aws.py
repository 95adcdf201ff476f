"""Traces of runs that functions serve, as a collector gets them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.support.api import Api
from tests.support.otlp import OtlpCollector, otlp_collector
from tests.support.systems import AWSSystem, finish, no_scope, skip
from worldflow import create_hook, create_webhook, publish, sleep, step, wait_for_signal, workflow
from worldflow.aws_handlers import create_orchestrator_handler, create_step_handler
from worldflow.engine.history import RunStarted
from worldflow.runtime import starting
from worldflow.tracing.emitting import tracer_of
from worldflow.tracing.live import TracingObserver
from worldflow.tracing.sending import exporter_to, provider_of

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = CALLER.split("-")[1:3]


@pytest.fixture
def collector() -> Iterator[OtlpCollector]:
    with otlp_collector() as collector:
        yield collector


@pytest.fixture
def traced(aws: AWSSystem, collector: OtlpCollector) -> Iterator[AWSSystem]:
    """A system whose functions trace."""
    provider = provider_of("orders", shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter_to(collector.url)))
    observer = TracingObserver(tracer_of(provider), aws.world.now)
    aws.close()
    aws._orchestrator = create_orchestrator_handler(aws.world, scope=no_scope, turns_at_once=1, observer=observer)
    aws._step_handler = create_step_handler(aws.world, scope=no_scope, observer=observer)
    yield aws
    provider.shutdown()


@step
async def traced_parcel(order: str) -> str:
    return order


@workflow
async def traced_shipping(order: str) -> str:
    return await traced_parcel(order)


@workflow
async def traced_delivery(order: str) -> str:
    parcel = await traced_parcel(order)
    await traced_shipping(order)
    await sleep("1h")
    return parcel


@workflow
async def traced_waiting() -> list[object]:
    webhook = create_webhook()
    publish("url", webhook.url)
    with create_hook(str, token="traced-hook") as hook:
        return [(await webhook).method, await hook, await wait_for_signal("go")]


def test_a_request_with_a_traceparent_and_all_that_comes_of_it_are_one_trace(
    api: Api, traced: AWSSystem, collector: OtlpCollector
) -> None:
    body = {"workflow": "traced_delivery", "run_id": "one", "input": {"order": "1"}}
    assert api.post("/runs", body, headers={"traceparent": CALLER}).status == 201
    assert finish(traced, "one").status == "completed"

    run, child = collector.one("run traced_delivery"), collector.one("run traced_shipping")
    assert (run.parent_id, child.parent_id) == (SPAN, run.span_id)
    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert [span.parent_id for span in collector.named("step traced_parcel")] == [run.span_id, child.span_id]
    assert len(collector.named("turn traced_delivery")) == 4
    assert api.get("/runs/one").body["traceparent"] == CALLER


def test_a_request_without_one_begins_a_trace(api: Api, traced: AWSSystem, collector: OtlpCollector) -> None:
    api.post("/runs", {"workflow": "traced_shipping", "run_id": "one", "input": {"order": "1"}})
    finish(traced, "one")

    run = collector.one("run traced_shipping")
    assert run.parent_id == ""
    assert collector.one("step traced_parcel").parent_id == run.span_id


def test_a_header_that_cannot_be_read_is_ignored(api: Api, traced: AWSSystem, collector: OtlpCollector) -> None:
    body = {"workflow": "traced_shipping", "run_id": "one", "input": {"order": "1"}}
    assert api.post("/runs", body, headers={"traceparent": CALLER[:-1] + "x"}).status == 201
    finish(traced, "one")

    assert collector.one("run traced_shipping").parent_id == ""


def test_a_request_that_is_repeated_from_another_span_is_still_one_request(api: Api, traced: AWSSystem) -> None:
    body = {"workflow": "traced_shipping", "run_id": "one", "input": {"order": "1"}}
    first = api.post("/runs", body, key="k", headers={"traceparent": CALLER})
    again = api.post("/runs", body, key="k", headers={"traceparent": CALLER.replace("b7", "b8")})

    assert (first.status, again.body) == (201, first.body)


def test_who_sends_to_a_run_through_the_api_is_linked(api: Api, traced: AWSSystem, collector: OtlpCollector) -> None:
    api.post("/runs", {"workflow": "traced_waiting", "run_id": "one"})
    traced.settle()
    url = api.get("/runs/one/queries/url").body["result"]
    sender = {"traceparent": CALLER}

    assert api.webhook(url, headers=sender).status == 202
    assert api.post("/hooks/traced-hook", '"value"', headers=sender).status == 202
    assert api.post("/runs/one/signals/go", 1, headers=sender).status == 202
    assert finish(traced, "one").status == "completed"

    linked = [link for span in collector.spans for link in span.links]
    assert linked == [(TRACE, SPAN)] * 3
    assert TRACE not in {span.trace_id for span in collector.spans}


def test_a_run_of_a_schedule_begins_a_trace(traced: AWSSystem, collector: OtlpCollector) -> None:
    from worldflow.runtime import schedules

    schedules.create(traced.world, "nightly", traced_shipping, {"order": "1"}, schedule="rate(1 hour)")
    provider = provider_of("lambda", shutdown_on_exit=False)
    with provider.get_tracer("lambda").start_as_current_span("invocation"):
        skip(traced)
        while not collector.named("run traced_shipping"):
            skip(traced)

    run = collector.named("run traced_shipping")[0]
    assert run.parent_id == ""


def test_nothing_is_carried_where_nobody_traces(aws: AWSSystem) -> None:
    starting.start(aws.world, "one", traced_shipping, {"order": "1"})
    assert aws.poll("runs")
    (task,) = aws.stack.messages("steps")
    assert "traceparent" not in task.body
    assert "traceparent" not in aws.stack.messages("steps")[0].body
    assert finish(aws, "one").traceparent is None
    started = aws.world.load_history("one")[0]
    assert isinstance(started, RunStarted)
    assert "traceparent" not in started.payload


def test_tracing_asks_aws_for_nothing_more(api: Api, traced: AWSSystem, collector: OtlpCollector) -> None:
    traced.stack.requests.clear()
    starting.start(traced.world, "traced", traced_delivery, {"order": "1"})
    finish(traced, "traced")
    with_traces = list(traced.stack.requests)
    assert collector.spans

    traced.restart()
    traced.stack.requests.clear()
    starting.start(traced.world, "not-traced", traced_delivery, {"order": "1"})
    finish(traced, "not-traced")
    assert traced.stack.requests == with_traces


def test_a_turn_that_fails_after_its_commit_and_is_taken_again_has_one_span(
    traced: AWSSystem, collector: OtlpCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting.start(traced.world, "one", traced_shipping, {"order": "1"})
    with monkeypatch.context() as broken:
        broken.setattr(traced.world, "send", _away)
        assert traced.poll("runs")
    assert len(collector.named("turn traced_shipping")) == 1
    assert finish(traced, "one").status == "completed"

    first, second = collector.named("turn traced_shipping")
    assert [span.attributes["worldflow.seq"] for span in (first, second)] == [1, 3]
    assert len(traced.world.load_history("one")) == 4


def test_a_turn_that_fails_before_its_commit_has_a_span_when_it_is_taken_again(
    traced: AWSSystem, collector: OtlpCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting.start(traced.world, "one", traced_shipping, {"order": "1"})
    with monkeypatch.context() as broken:
        broken.setattr(traced.world, "append", _away)
        assert traced.poll("runs")
    assert collector.spans == []
    finish(traced, "one")
    assert [span.attributes["worldflow.seq"] for span in collector.named("turn traced_shipping")] == [1, 3]


def _away(*_: object) -> None:
    raise OSError("AWS is away")
