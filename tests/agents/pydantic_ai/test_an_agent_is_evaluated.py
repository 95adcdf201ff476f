"""Another model, or another prompt, on the tool results of a run: `replay_with(history, agent=...)`."""

from __future__ import annotations

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage

from tests.agents.pydantic_ai.scripts import Script, returned
from tests.agents.pydantic_ai.worlds import Runs, events
from worldflow import ConfigurationError, workflow
from worldflow.ai.pydantic import Durable
from worldflow.engine.history import Event
from worldflow.testing import replay_with

CITIES = ("Vienna", "Graz")
looked: list[str] = []


def told(messages: list[ModelMessage]) -> str:
    return "; ".join(returned(messages))


agent = Agent(
    Script([("look", {"city": city}) for city in CITIES], told),
    name="evaluated_agent",
    deps_type=str,
    capabilities=[Durable(stream="answer")],
)


@agent.tool
async def look(ctx: RunContext[str], city: str) -> str:
    looked.append(city)
    return f"sunny in {city} for {ctx.deps}"


@workflow
async def evaluated_conversation(prompt: str) -> str:
    return (await agent.run(prompt, deps="Ada")).output


async def history(runs: Runs) -> list[Event]:
    looked.clear()
    run_id = await runs.start(evaluated_conversation, "Where?")
    assert await runs.result(run_id) == "sunny in Vienna for Ada; sunny in Graz for Ada"
    assert sorted(looked) == ["Graz", "Vienna"]
    looked.clear()
    return events(runs, run_id)


async def test_another_model_gets_the_results_that_the_tools_gave_then(runs: Runs) -> None:
    recorded = await history(runs)
    candidate = Script([("look", {"city": "Graz"})], [("look", {"city": "Vienna"})], lambda said: f"So: {told(said)}")

    run = await replay_with(recorded, agent=agent, model=candidate)

    # It calls them in another order, one by one, and each has its own result.
    assert run.result == "So: sunny in Graz for Ada; sunny in Vienna for Ada"
    assert looked == []
    assert [(call.name, call.source) for call in run.calls] == [
        ("evaluated_agent.model", "live"),
        ("evaluated_agent.tool.look", "recorded"),
        ("evaluated_agent.model", "live"),
        ("evaluated_agent.tool.look", "recorded"),
        ("evaluated_agent.model", "live"),
    ]
    assert len(candidate.asked) == 3
    (usage,) = run.usage
    assert usage["model"] == "script"
    assert int(usage["output_tokens"]) > 0


async def test_its_own_model_answers_again(runs: Runs) -> None:
    run = await replay_with(await history(runs), agent=agent)
    assert run.result == "sunny in Vienna for Ada; sunny in Graz for Ada"
    assert [call.source for call in run.calls] == ["live", "recorded", "recorded", "live"]


async def test_another_prompt(runs: Runs) -> None:
    candidate = Script([("look", {"city": "Graz"})], told)
    run = await replay_with(await history(runs), agent=agent, model=candidate, input={"prompt": "Where in Styria?"})
    assert run.result == "sunny in Graz for Ada"
    assert "Where in Styria?" in str(candidate.asked[0])


async def test_a_tool_that_was_not_called_with_these_arguments(runs: Runs) -> None:
    recorded = await history(runs)
    candidate = Script([("look", {"city": "Linz"})], told)
    with pytest.raises(AssertionError, match=r"evaluated_agent\.tool\.look was called with"):
        await replay_with(recorded, agent=agent, model=candidate)
    run = await replay_with(recorded, agent=agent, model=candidate, live={"evaluated_agent.tool.look"})
    assert run.result == "sunny in Linz for Ada"
    assert looked == ["Linz"]


async def test_afterwards_the_agent_has_its_own_model(runs: Runs) -> None:
    await replay_with(await history(runs), agent=agent, model=Script("nothing"))
    await history(runs)


async def test_an_agent_that_is_not_durable(runs: Runs) -> None:
    with pytest.raises(ConfigurationError, match="'plain' has no Durable"):
        await replay_with(await history(runs), agent=Agent(Script("x"), name="plain"))
