"""A run that a process lets go of in the middle leaves no complaint of OpenTelemetry, anyio, LangGraph, Pydantic AI or
the OpenAI Agents SDK: no warning, no log, no exception that nobody catches.
"""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from agents import Runner, custom_span, set_trace_processors, trace
from agents.run import RunConfig
from opentelemetry.sdk.trace import TracerProvider
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.instrumented import InstrumentationSettings, InstrumentedModel

from examples.agents import langgraph_graph, openai_agents_sdk
from tests.agents.recipes.test_openai_agents_sdk import calls, says
from tests.support.steps import work
from worldflow import wait_for_signal, workflow
from worldflow.engine.history import AnyFact, BaseEvent, RunStarted, StepCompleted, StepScheduled
from worldflow.engine.values.serialization import ANYTHING
from worldflow.engine.workflow.execution import Execution
from worldflow.turns.live_run import LiveRun
from worldflow.turns.live_runs import LiveRuns

START = datetime(2026, 1, 1, tzinfo=UTC)
PROVIDER = TracerProvider()
tracer = PROVIDER.get_tracer("tests")


@workflow
async def opens_spans() -> None:
    async def child(name: str) -> None:
        with tracer.start_as_current_span(name):
            await work(name)

    async def numbers() -> AsyncIterator[int]:
        with tracer.start_as_current_span("numbers"):
            yield 1
            yield 2

    with tracer.start_as_current_span("outer"):
        cycle: list[Any] = [numbers()]
        cycle.append(cycle)
        await anext(cycle[0])
        async for _ in numbers():
            break
        async for _ in numbers():
            await asyncio.gather(child("a"), child("b"), work("c"))


@workflow
async def opens_cancel_scopes() -> None:
    async def stream() -> AsyncIterator[int]:
        async with anyio.create_task_group() as group:
            group.start_soon(work, "in the generator")
            yield 1
            yield 2

    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(anyio.create_task_group())
        group.start_soon(work, "a")
        stack.push_async_callback(work, "closing")
        with anyio.fail_after(100), anyio.CancelScope():
            async for _ in stream():
                await wait_for_signal("go")


@workflow
async def reports_by_langgraph() -> list[Any]:
    compiled = langgraph_graph.graph.compile()
    updates = compiled.astream({"topic": "hats", "findings": [], "text": ""})
    return [update async for update in updates]


@workflow
async def supports_by_openai() -> str:
    with trace("a trace"), custom_span("a span"):
        durable = RunConfig(model_provider=openai_agents_sdk.DurableModels())
        expert = openai_agents_sdk.support.as_tool("ask", "Asks.", run_config=durable)
        boss = openai_agents_sdk.support.clone(tools=[expert, openai_agents_sdk.weather])
        return str((await Runner.run(boss, "A hat?", run_config=durable)).final_output)


@workflow
async def nests_by_pydantic_ai() -> str:
    async def model(messages: Any, info: Any) -> ModelResponse:
        if any(isinstance(part, ToolReturnPart) for message in messages for part in message.parts):
            return ModelResponse(parts=[TextPart("done")])
        return ModelResponse(parts=[ToolCallPart("ask", {"what": what}) for what in ("a", "b")])

    traced = InstrumentedModel(FunctionModel(model), InstrumentationSettings(tracer_provider=PROVIDER))
    inner, outer = Agent(traced, name="inner"), Agent(traced, name="outer")

    @inner.tool_plain(name="ask")
    async def asks_the_world(what: str) -> str:
        return str(await work(what))

    @outer.tool_plain(name="ask")
    async def asks_the_other(what: str) -> str:
        return (await inner.run(what)).output

    async with outer.iter("go") as run:
        async for _ in run:
            pass
    return "done"


FLOWS = [opens_spans, opens_cancel_scopes, reports_by_langgraph, supports_by_openai, nests_by_pydantic_ai]


def answer(step: StepScheduled) -> Any:
    if step.name != "request_openai":
        return "an answer"
    asked = str(step.input)
    if "function_call_output" in asked:
        items = [says("done")]
    elif "'ask'" in asked:
        items = [calls("ask", input="hats?"), calls("ask", input="coats?"), calls("weather", city="Graz")]
    else:
        items = [calls("weather", city="Linz"), calls("weather", city="Graz")]
    return {"output": ANYTHING.encode([item.model_dump() for item in items]), "usage": {}, "response_id": None}


def half_way(flow: Any, answers: int) -> tuple[Execution, list[BaseEvent]]:
    """An execution whose first steps have their results, and its history."""
    execution, history, pending = Execution("run-1", flow), [], []

    def feed(fact: AnyFact) -> None:
        for event in (fact, *execution.apply(fact, START)):
            history.append(event.recorded(len(history) + 1, START))
            if isinstance(event, StepScheduled):
                pending.append(event)

    feed(RunStarted(run_id="run-1", workflow_name=flow.name, created_at=START))
    while answers and pending and not execution.ended:
        step = pending.pop(0)
        feed(StepCompleted(step_id=step.step_id, attempt=1, result=answer(step)))
        answers -= 1
    return execution, history


@pytest.fixture(autouse=True, scope="module")
def _only_what_tests_leave_is_collected() -> Iterator[None]:
    """Or each collection would walk all that the frameworks have imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _nothing_is_told(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Any:
    """What Python cannot raise is an error of pytest's, as each warning is."""
    caplog.set_level(logging.WARNING)
    set_trace_processors([])  # the default one sends traces to OpenAI
    yield
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("answers", range(5))
@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
class TestQuiet:
    def test_at_eviction_and_after_a_replay(self, flow: Any, answers: int) -> None:
        live, history = half_way(flow, answers)
        replayed = Execution("run-1", flow)
        replayed.replay(history)
        live.dispose()
        replayed.dispose()

    def test_where_an_application_runs_its_own_loop(self, flow: Any, answers: int) -> None:
        async def main() -> None:
            live, _ = await asyncio.to_thread(half_way, flow, answers)
            live.dispose()
            gc.collect()

        asyncio.run(main())

    def test_by_the_garbage_collector(self, flow: Any, answers: int) -> None:
        runs = LiveRuns(None, None, limit=9, is_full=lambda: False)  # type: ignore[arg-type]
        run = LiveRun(None, "run-1", None, None)  # type: ignore[arg-type]
        run.execution, _ = half_way(flow, answers)
        runs._runs[run.id] = run
        cycle: list[Any] = [runs]
        cycle.append(cycle)
        del runs, run, cycle
        gc.collect()
