import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from tests.support.otlp import OtlpCollector
from tests.unit.tracing.conftest import TracedEnvironment
from tests.unit.tracing.flows import (
    LIBRARY,
    ORCHESTRATOR,
    fails_once,
    traced_call,
    traced_calls,
    traced_countdown,
    traced_failure,
    traced_models,
    traced_order,
    traced_start,
)
from worldflow import RunCancelledError, RunFailedError
from worldflow.engine.traceparent import TraceContext
from worldflow.runtime import starting
from worldflow.runtime.callers import asked_by
from worldflow.runtime.orchestrator import Orchestrator
from worldflow.tracing.emitting import tracer_of
from worldflow.tracing.live import TracingObserver
from worldflow.tracing.walking import whole_trace
from worldflow.turns.steps import StepExecutor
from worldflow.turns.turns import Turns
from worldflow.worlds.local.world import LocalWorld
from worldflow.worlds.messages import Start, StepTask

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def no_failures() -> None:
    fails_once.clear()


async def test_turns_attempts_and_runs_have_spans(traced: TracedEnvironment, collector: OtlpCollector):
    fails_once.add("a")
    async with traced() as env:
        run = await env.start(traced_order, "a")
        await env.advance("10s")
        await env.resume_hook("hook-of-a", "now")
        await env.advance("1h")
        await run.signal("go")
        await run.result()
        await env.settle()

    own = collector.one("run traced_order")
    child = collector.one("run traced_child")
    assert (own.parent_id, child.parent_id) == ("", own.span_id)
    turns = collector.named("turn traced_order")
    assert {turn.parent_id for turn in turns} == {own.span_id}
    # The start, two outcomes and the wake between them, the child's, the hook's value, the timer and the signal.
    assert len(turns) == len({turn.span_id for turn in turns}) == 7
    attempts = [span for span in collector.named("step traced_charge") if span.parent_id == own.span_id]
    assert [(span.attributes["worldflow.attempt"], span.is_error) for span in attempts] == [(1, True), (2, False)]
    assert attempts[0].attributes["error.type"] == "LookupError"
    assert {span.trace_id for span in collector.spans} == {own.trace_id}
    assert {span.resource["service.name"] for span in collector.spans} == {"orders"}


async def test_a_replay_makes_no_span(traced: TracedEnvironment, collector: OtlpCollector):
    async with traced() as env:
        run = await env.start(traced_order, "b")
        before = len(collector.spans)
        await Orchestrator(env.world).resume(run.id)
        await env.settle()
        assert len(collector.spans) == before > 0


async def test_the_history_says_the_same_later(traced: TracedEnvironment, collector: OtlpCollector):
    fails_once.add("c")
    async with traced() as env:
        run = await env.start(traced_failure)
        with pytest.raises(RunFailedError):
            await run.result()
        await run.retry()
        await env.settle()
        built = {
            (span.name, str(span.context), str(span.parent) if span.parent else "", *sorted(span.attributes.items()))
            for span in whole_trace(env.world, run.id)
        }

    live = {
        (
            span.name,
            span.traceparent,
            f"00-{span.trace_id}-{span.parent_id}-01" if span.parent_id else "",
            *sorted((key, value) for key, value in span.attributes.items() if key != "error.type"),
        )
        for span in collector.spans
        if not span.name.startswith("turn ")
    }
    assert built == live


async def test_what_libraries_do_in_a_step_is_below_its_attempt(
    traced: TracedEnvironment, collector: OtlpCollector, provider: TracerProvider
):
    LIBRARY.set(provider)
    async with traced() as env:
        run = await env.start(traced_calls)
        sent = await run.result()

    for step, library, header in zip(
        ("traced_call", "traced_plain_call", "traced_inline_call"), ("GET /", "SELECT", "PUT /"), sent, strict=True
    ):
        attempt, call = collector.one(f"step {step}"), collector.one(library)
        assert (call.trace_id, call.parent_id) == (attempt.trace_id, attempt.span_id)
        assert header == call.traceparent


async def test_a_run_belongs_to_the_trace_in_which_it_is_started(traced: TracedEnvironment, collector: OtlpCollector):
    async with traced() as env:
        with asked_by(CALLER):
            await env.start(traced_countdown, 2)
        await env.settle()

    caller = TraceContext.read(CALLER)
    assert caller is not None
    runs = collector.named("run traced_countdown")
    assert len(runs) == 3
    assert {(run.trace_id, run.parent_id) for run in runs} == {(caller.trace_id, caller.span_id)}


async def test_the_current_span_of_an_application_is_the_caller(
    traced: TracedEnvironment, collector: OtlpCollector, provider: TracerProvider
):
    async with traced() as env:
        with provider.get_tracer("application").start_as_current_span("POST /orders"):
            await env.start(traced_countdown, 0)
        await env.settle()

    request, run = collector.one("POST /orders"), collector.one("run traced_countdown")
    assert (run.trace_id, run.parent_id) == (request.trace_id, request.span_id)


async def test_a_run_that_a_step_starts_is_below_the_attempt(traced: TracedEnvironment, collector: OtlpCollector):
    async with traced() as env:
        ORCHESTRATOR.set(Orchestrator(env.world))
        await (await env.start(traced_start)).result()
        await env.settle()

    attempt, run = collector.one("step traced_starter"), collector.one("run traced_countdown")
    assert (run.trace_id, run.parent_id) == (attempt.trace_id, attempt.span_id)


async def test_a_trace_that_is_not_sampled_is_not_told_of(traced: TracedEnvironment, collector: OtlpCollector):
    async with traced() as env:
        with asked_by(CALLER[:-1] + "0"):
            run = await env.start(traced_countdown, 0)
        await run.result()
        assert collector.spans == []
        assert [span.name for span in whole_trace(env.world, run.id)] == ["run traced_countdown"]


async def test_who_sends_to_a_run_is_linked(traced: TracedEnvironment, collector: OtlpCollector):
    async with traced() as env:
        run = await env.start(traced_order, "d")
        await env.advance("10s")
        with asked_by(CALLER):
            await run.update("price", 1)
            await env.resume_hook("hook-of-d", "now")
            await run.signal("go")
        await env.advance("1h")
        await run.result()
        await env.settle()
        built = [span for span in whole_trace(env.world, run.id) if span.links]

    caller = TraceContext.read(CALLER)
    assert caller is not None
    linked = [span for span in collector.spans if span.links]
    assert [span.name for span in linked] == ["turn traced_order"] * 3
    assert {tuple(span.links) for span in linked} == {((caller.trace_id, caller.span_id),)}
    assert sorted(span.name for span in built) == ["hook value", "signal go", "update price"]
    assert caller.trace_id not in {span.trace_id for span in collector.spans}


async def test_a_run_that_a_signal_starts_is_in_its_trace(traced: TracedEnvironment, collector: OtlpCollector):
    async with traced() as env:
        with asked_by(CALLER):
            await Orchestrator(env.world).signal_with_start(
                "for-a-signal", traced_order, {"order": "e"}, signal="go", value=None
            )
        await env.settle()
        await env.run("for-a-signal").terminate()
        with pytest.raises(RunCancelledError):
            await env.run("for-a-signal").result()
        await env.settle()

    assert collector.one("run traced_order").trace_id == CALLER.split("-")[1]


async def test_a_fork_begins_a_trace_and_is_linked_to_the_run_it_goes_on_from(
    traced: TracedEnvironment, collector: OtlpCollector
):
    async with traced() as env:
        run = await env.start(traced_order, "f")
        await run.terminate()
        await env.settle()
        starting.fork(env.world, run.id, "forked-in-a-trace", after=1)
        await env.settle()
        await env.run("forked-in-a-trace").terminate()
        await env.settle()

    source, fork = collector.named("run traced_order")
    assert fork.attributes["worldflow.fork_of"] == source.attributes["worldflow.run_id"]
    assert fork.trace_id != source.trace_id
    assert (fork.parent_id, fork.links) == ("", [(source.trace_id, source.span_id)])
    first, *_ = [
        span
        for span in collector.named("turn traced_order")
        if span.attributes["worldflow.run_id"] == "forked-in-a-trace"
    ]
    assert first.trace_id == fork.trace_id
    # The two events that it takes over belong to a turn of the other.
    assert (first.attributes["worldflow.seq"], first.attributes["worldflow.events"]) == (3, 1)


async def test_a_run_that_began_when_nobody_traced_it_has_no_spans(
    traced: TracedEnvironment, collector: OtlpCollector, provider: TracerProvider
):
    async with traced() as env:
        tracing, env._worker = env._worker, type(env._worker)(env.world, live_limit=0)
        run = await env.start(traced_order, "g")
        env._worker.close()
        env._worker = tracing
        await env.advance("10s")
        await run.terminate()
        await env.settle()

    assert collector.spans == []


async def test_an_attempt_that_runs_twice_has_one_id(collector: OtlpCollector, provider: TracerProvider):
    LIBRARY.set(provider)
    world = LocalWorld()
    executor = StepExecutor(world, observer=TracingObserver(tracer_of(provider), world.now))
    task = StepTask(run_id="one", step_id="s1", name=traced_call.name, traceparent=CALLER, ledger=False)
    await executor.execute(task)
    await executor.execute(task)
    executor.close()
    world.close()

    first, second = collector.named(f"step {traced_call.name}")
    assert (first.trace_id, first.span_id, first.parent_id) == (second.trace_id, second.span_id, second.parent_id)


async def test_the_invocation_in_which_a_step_runs_is_linked(collector: OtlpCollector, provider: TracerProvider):
    LIBRARY.set(provider)
    world = LocalWorld()
    executor = StepExecutor(world, observer=TracingObserver(tracer_of(provider), world.now))
    with provider.get_tracer("lambda").start_as_current_span("steps.fifo process"):
        await executor.execute(StepTask(run_id="one", step_id="s1", name=traced_call.name, traceparent=CALLER))
        assert trace.get_current_span().is_recording()
    executor.close()
    world.close()

    invocation, attempt = collector.one("steps.fifo process"), collector.one(f"step {traced_call.name}")
    assert attempt.links == [(invocation.trace_id, invocation.span_id)]
    assert attempt.trace_id == CALLER.split("-")[1]


def test_a_turn_whose_commit_becomes_durable_later_has_a_span_then(collector: OtlpCollector, provider: TracerProvider):
    world = LocalWorld()
    turns = Turns(world, observer=TracingObserver(tracer_of(provider), world.now))
    for run_id in ("a", "b"):
        starting.start(world, run_id, traced_countdown, {"left": 0})
    with world.together():
        for run_id in ("a", "b"):
            turns.take(run_id, [Start(run_id=run_id)])
        assert collector.spans == []
    turns.close()
    world.close()

    assert [span.attributes["worldflow.run_id"] for span in collector.named("turn traced_countdown")] == ["a", "b"]
    assert len(collector.named("run traced_countdown")) == 2


async def test_an_attempt_has_its_tokens_when_it_ends(traced: TracedEnvironment, collector: OtlpCollector):
    async with traced() as env:
        run = await env.start(traced_models, 1)
        await run.result()
        await env.settle()

    attributes = collector.one("step traced_model").attributes
    assert attributes["gen_ai.request.model"] == "large"
    assert attributes["gen_ai.usage.input_tokens"] == 20
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 5
