"""Messages from one run of an agent to the next, and from one generation of a workflow to the next."""

from __future__ import annotations

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, UserPromptPart

from tests.agents.pydantic_ai.scripts import Script
from tests.agents.pydantic_ai.worlds import Runs, names
from worldflow import continue_as_new, step, wait_for_signal, workflow
from worldflow.ai.pydantic import Durable


def prompts(messages: list[ModelMessage]) -> list[object]:
    return [part.content for message in messages for part in message.parts if isinstance(part, UserPromptPart)]


chatty = Agent(
    Script(lambda messages: f"heard {', '.join(map(str, prompts(messages)))}"), name="chatty", capabilities=[Durable()]
)


@workflow
async def talk_twice() -> str:
    first = await chatty.run("one")
    second = await chatty.run("two", message_history=first.all_messages())
    return second.output


async def test_a_second_run_goes_on_with_the_messages_of_the_first(runs: Runs) -> None:
    run_id = await runs.start(talk_twice)

    assert await runs.result(run_id) == "heard one, two"


kept: list[list[ModelMessage]] = []


@step
async def keep_messages(messages: list[ModelMessage]) -> None:
    kept.append(messages)


@workflow
async def talk_and_keep() -> str:
    result = await chatty.run("one")
    await keep_messages(result.all_messages())
    return result.output


async def test_messages_can_be_given_to_a_step(runs: Runs) -> None:
    kept.clear()
    assert await runs.result(await runs.start(talk_and_keep)) == "heard one"
    assert [[message.kind for message in messages] for messages in kept] == [["request", "response"]]


@workflow
async def talk_on(history: list[ModelMessage]) -> str:
    prompt = await wait_for_signal("prompt", str)
    result = await chatty.run(prompt, message_history=history)
    if prompt == "bye":
        return result.output
    continue_as_new(result.all_messages())


async def test_messages_go_on_in_the_next_generation(runs: Runs) -> None:
    run_id = await runs.start(talk_on, [])
    await runs.signal(run_id, "prompt", "one")
    await runs.signal(run_id, "prompt", "two")
    await runs.signal(run_id, "prompt", "bye")

    assert await runs.result(f"{run_id}~3") == "heard one, two, bye"
    assert names(runs, f"{run_id}~3") == ["chatty.model"]
