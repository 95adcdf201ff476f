"""What an agent says while it says it."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import AgentStreamEvent, ModelMessage, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

from tests.agents.pydantic_ai.scripts import Script, returned
from tests.agents.pydantic_ai.worlds import Runs, names
from worldflow import RetryPolicy, StreamReset, in_workflow, open_stream, step, step_info, workflow
from worldflow.ai.pydantic import Durable
from worldflow.worlds import streams

speaker_script = Script([("fetch", {"what": "news"})], lambda messages: f"the news: {returned(messages)[-1]}")
speaker = Agent(speaker_script, name="speaker", capabilities=[Durable(stream="answer")])


@speaker.tool_plain
async def fetch(what: str) -> str:
    return f"no {what} is good {what}"


@workflow
async def speak() -> str:
    return (await speaker.run("What is new?")).output


def said(values: list[Any]) -> str:
    """The text in events of a model's answers."""
    text = ""
    for event in map(TypeAdapter[Any](AgentStreamEvent).validate_python, values):
        if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
            text += event.part.content
        elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
            text += event.delta.content_delta
    return text


def items(runs: Runs, run_id: str, name: str = "answer") -> list[Any]:
    return list(streams.read(runs.world, run_id, name, 0).items)


def values(runs: Runs, run_id: str, name: str = "answer") -> list[Any]:
    return [item.value for item in items(runs, run_id, name)]


async def test_the_events_of_answers_are_written_to_a_stream(runs: Runs) -> None:
    run_id = await runs.start(speak)

    assert await runs.result(run_id) == "the news: no news is good news"
    assert said(values(runs, run_id)) == "the news: no news is good news"
    assert names(runs, run_id) == ["speaker.model", "speaker.tool.fetch", "speaker.model"]


async def test_events_of_tools_are_written_between_them(runs: Runs) -> None:
    run_id = await runs.start(speak)
    await runs.result(run_id)

    found = items(runs, run_id)
    told = {item.value["event_kind"]: item for item in found if item.value["event_kind"].startswith("function_tool")}
    assert set(told) == {"function_tool_call", "function_tool_result"}
    assert told["function_tool_call"].offset < told["function_tool_result"].offset
    assert told["function_tool_result"].value["part"]["content"] == "no news is good news"
    assert [item.step_id for item in told.values()] == [None, None]
    answer = [item.offset for item in found if item.step_id == "s3"]
    assert told["function_tool_result"].offset < min(answer)


heard: list[tuple[str, bool]] = []


async def hear(ctx: RunContext[str], events: AsyncIterable[AgentStreamEvent]) -> None:
    async with open_stream("heard", str) as out:
        async for event in events:
            heard.append((event.event_kind, in_workflow()))
            await out.write(f"{ctx.deps}: {event.event_kind}")


listened_to = Agent(
    Script([("note", {})], "done"), name="listened", deps_type=str, capabilities=[Durable(event_stream_handler=hear)]
)


@listened_to.tool_plain
async def note() -> None: ...


@workflow
async def be_listened_to() -> str:
    return (await listened_to.run("Go", deps="Ada")).output


async def test_a_handler_of_events_is_called_in_steps(runs: Runs) -> None:
    heard.clear()
    run_id = await runs.start(be_listened_to)

    assert await runs.result(run_id) == "done"
    kinds = [kind for kind, _ in heard]
    assert [at for _, at in heard] == [False] * len(heard)
    assert kinds.count("function_tool_call") == kinds.count("function_tool_result") == 1
    assert "part_start" in kinds
    assert values(runs, run_id, "heard") == [f"Ada: {kind}" for kind in kinds]
    assert names(runs, run_id).count("listened.event") == 2


def _stumble(messages: list[ModelMessage]) -> str:
    return "one two three" if step_info().attempt > 1 else "one two"


class Stumbling(Script):
    async def _stream(self, messages: Any, info: Any) -> Any:
        async for word in super()._stream(messages, info):
            yield word
        if step_info().attempt == 1:
            raise ConnectionError("lost the thread")


stumbler = Agent(
    Stumbling(_stumble),
    name="stumbler",
    capabilities=[Durable(stream="answer", model={"retry": RetryPolicy(max_attempts=2)})],
)


@workflow
async def stumble() -> str:
    return (await stumbler.run("Count")).output


async def test_readers_learn_that_an_answer_begins_anew(runs: Runs) -> None:
    run_id = await runs.start(stumble)

    assert await runs.result(run_id) == "one two three"
    found = items(runs, run_id)
    resets = [index for index, item in enumerate(found) if isinstance(item, StreamReset)]
    assert len(resets) == 1
    assert said([item.value for item in found[: resets[0]]]) == "one two"
    assert said([item.value for item in found[resets[0] + 1 :]]) == "one two three"


async def test_a_broken_answer_has_cost_tokens_too(runs: Runs) -> None:
    run_id = await runs.start(stumble)
    await runs.result(run_id)

    outcomes = [
        event for event in runs.world.read_events(run_id) if event.event_type in ("StepFailed", "StepCompleted")
    ]
    assert [(event.event_type, event.usage[0]["model"], event.usage[0]["output_tokens"]) for event in outcomes] == [
        ("StepFailed", "script", 2),
        ("StepCompleted", "script", 3),
    ]


alone = Agent(Script([("sing", {})], "la la"), name="alone", capabilities=[Durable(stream="song")])


@alone.tool_plain
async def sing() -> str:
    return "la"


@step
async def perform() -> str:
    return (await alone.run("Sing")).output


@workflow
async def concert() -> str:
    return await perform()


async def test_an_agent_that_runs_in_a_step_writes_all_its_events_there(runs: Runs) -> None:
    run_id = await runs.start(concert)

    assert await runs.result(run_id) == "la la"
    kinds = [value["event_kind"] for value in values(runs, run_id, "song")]
    assert kinds.count("function_tool_result") == 1
    assert said(values(runs, run_id, "song")) == "la la"


async def test_elsewhere_nothing_is_written() -> None:
    assert (await alone.run("Sing")).output == "la la"


def test_the_name_of_a_stream_is_checked() -> None:
    with pytest.raises(Exception, match="stream"):
        Durable(stream="no name")
