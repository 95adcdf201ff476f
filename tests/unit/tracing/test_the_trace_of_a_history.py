from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.unit.tracing.flows import fails_once, traced_countdown, traced_failure, traced_models, traced_order
from worldflow import RunFailedError, RunNotFoundError
from worldflow.runtime import starting
from worldflow.testing import WorkflowEnvironment
from worldflow.tracing.described import TracedSpan
from worldflow.tracing.walking import whole_trace


@pytest.fixture(autouse=True)
def no_failures() -> Iterator[None]:
    fails_once.clear()
    yield
    fails_once.clear()


async def whole(env: WorkflowEnvironment, run_id: str) -> list[TracedSpan]:
    await env.settle()
    return list(whole_trace(env.world, run_id))


def named(spans: list[TracedSpan], name: str) -> TracedSpan:
    (span,) = [span for span in spans if span.name == name]
    return span


async def through(env: WorkflowEnvironment, order: str) -> str:
    """A run that has done all it can."""
    run = await env.start(traced_order, order)
    await run.update("price", 3)
    await env.advance("10s")
    await env.resume_hook(f"hook-of-{order}", "now")
    await env.advance("1h")
    await run.signal("go", signal_id="the-signal")
    await run.result()
    return run.id


async def test_a_span_for_each_thing_that_a_run_did():
    async with WorkflowEnvironment() as env:
        run_id = await through(env, "a")
        spans = await whole(env, run_id)

    assert sorted(span.name for span in spans) == [
        "hook",
        "hook value",
        "run traced_child",
        "run traced_order",
        "signal go",
        "step traced_charge",
        "step traced_charge",
        "timer",
        "update price",
    ]
    run = named(spans, "run traced_order")
    child = named(spans, "run traced_child")
    assert run.parent is None
    assert run.attributes == {
        "worldflow.run_id": run_id,
        "worldflow.workflow": "traced_order",
        "worldflow.status": "completed",
    }
    assert child.parent == run.context
    assert {span.parent for span in spans} == {None, run.context, child.context}
    timer = named(spans, "timer")
    assert timer.end - timer.begin == timedelta(hours=1)
    assert named(spans, "signal go").attributes["worldflow.id"] == "the-signal"


async def test_each_attempt_is_a_span_and_of_its_error_only_the_type_is_told():
    fails_once.add("b")
    async with WorkflowEnvironment() as env:
        run_id = await through(env, "b")
        spans = await whole(env, run_id)

    first, second = (
        span for span in spans if span.name == "step traced_charge" and span.attributes["worldflow.run_id"] == run_id
    )
    assert first.attributes == {
        "worldflow.run_id": run_id,
        "worldflow.step_id": "s1",
        "worldflow.step": "traced_charge",
        "worldflow.attempt": 1,
    }
    assert (first.error, second.error) == ("LookupError", None)
    assert second.attributes["worldflow.attempt"] == 2
    assert second.begin - first.end == timedelta(seconds=10)
    assert "secret" not in repr(spans)


async def test_a_run_that_fails_tells_of_what():
    async with WorkflowEnvironment() as env:
        run = await env.start(traced_failure)
        with pytest.raises(RunFailedError):
            await run.result()
        spans = await whole(env, run.id)

    assert named(spans, "run traced_failure").error == "worldflow.engine.errors.FatalError"
    assert named(spans, "step traced_refusal").error == "worldflow.engine.errors.FatalError"


async def test_what_is_open_still_has_no_span():
    async with WorkflowEnvironment() as env:
        run = await env.start(traced_order, "c")
        spans = await whole(env, run.id)

    assert {span.name for span in spans} == {"step traced_charge", "run traced_child"}


async def test_what_was_open_when_the_run_ended_ends_with_it():
    async with WorkflowEnvironment() as env:
        run = await env.start(traced_order, "d")
        await env.advance("10s")
        await env.resume_hook("hook-of-d", "now")
        await env.advance("1m")
        await run.terminate()
        await env.settle()
        spans = await whole(env, run.id)

    ended = named(spans, "run traced_order")
    assert ended.attributes["worldflow.status"] == "cancelled"
    assert named(spans, "timer").end == ended.end


async def test_the_generations_of_a_run_are_in_one_trace():
    async with WorkflowEnvironment() as env:
        run = await env.start(traced_countdown, 2)
        await run.result()
        first, second, third = await whole(env, run.id)
        (alone,) = await whole(env, f"{run.id}~3")

    assert second.parent == third.parent == first.context
    assert first.attributes["worldflow.status"] == "continued"
    assert alone == third


async def test_a_child_is_in_its_parents_trace_when_it_is_asked_for_alone():
    async with WorkflowEnvironment() as env:
        run_id = await through(env, "e")
        spans = await whole(env, run_id)
        child = named(spans, "run traced_child")
        alone = await whole(env, str(child.attributes["worldflow.run_id"]))

    assert named(alone, "run traced_child") == child


async def test_a_retry_shows_what_it_did_itself_in_the_trace_of_the_run_that_failed():
    fails_once.add("f")
    async with WorkflowEnvironment() as env:
        run = await env.start(traced_failure)
        with pytest.raises(RunFailedError):
            await run.result()
        await run.retry()
        spans = await whole(env, run.id)
        again = await whole(env, f"{run.id}~2")

    assert [span.name for span in again] == ["step traced_refusal", "run traced_failure"]
    assert again == spans[2:]
    assert {span.context.trace_id for span in spans} == {spans[0].context.trace_id}
    assert len({span.context.span_id for span in spans}) == 4
    assert again[1].attributes["worldflow.fork_of"] == run.id


async def test_a_fork_has_a_trace_of_its_own_with_what_it_did_itself():
    async with WorkflowEnvironment() as env:
        run_id = await through(env, "g")
        await env.settle()
        after = max(event.seq for event in env.world.load_history(run_id)) - 3
        starting.fork(env.world, run_id, "forked", after=after)
        await env.run("forked").signal("go")
        await env.run("forked").result()
        source, spans = await whole(env, run_id), await whole(env, "forked")

    assert named(spans, "run traced_order").attributes["worldflow.fork_of"] == run_id
    assert not {span.name for span in spans} & {"step traced_charge", "run traced_child", "update price"}
    assert {span.context.trace_id for span in spans}.isdisjoint(span.context.trace_id for span in source)


async def test_no_such_run():
    async with WorkflowEnvironment() as env:
        with pytest.raises(RunNotFoundError):
            list(whole_trace(env.world, "nobody"))


@pytest.mark.parametrize("models", [1, 2])
async def test_an_attempt_has_its_tokens(models: int):
    async with WorkflowEnvironment() as env:
        run = await env.start(traced_models, models)
        spans = await whole(env, run.id)

    attributes = named(spans, "step traced_model").attributes
    assert {name: value for name, value in attributes.items() if name.startswith("gen_ai.")} == {
        **({"gen_ai.request.model": "large"} if models == 1 else {}),
        "gen_ai.usage.input_tokens": 20 * models,
        "gen_ai.usage.output_tokens": 3 * models,
        "gen_ai.usage.cache_read.input_tokens": 5 * models,
    }
    assert not any(name.startswith("gen_ai.") for name in named(spans, "run traced_models").attributes)
