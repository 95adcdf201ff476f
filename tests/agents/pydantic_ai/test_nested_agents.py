from __future__ import annotations

import pytest
from pydantic_ai import Agent, RunContext

from tests.agents.pydantic_ai.scripts import Script, returned
from tests.agents.pydantic_ai.worlds import Runs, gathered, names
from worldflow import workflow
from worldflow.ai.pydantic import Durable

researcher_script = Script([("look_up", {"topic": "x"})], lambda messages: f"a report: {returned(messages)[-1]}")
researcher = Agent(researcher_script, name="researcher", capabilities=[Durable()])
boss_script = Script(
    [("research", {"topic": "tea"}), ("research", {"topic": "rum"})], lambda messages: " and ".join(returned(messages))
)
boss = Agent(boss_script, name="boss", capabilities=[Durable()])
alive: list[object] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    alive.clear()
    researcher_script.asked.clear()
    boss_script.asked.clear()


@researcher.tool_plain
async def look_up(topic: str) -> str:
    await gathered(alive, 2)
    return "facts"


@boss.tool(metadata={"worldflow": False})
async def research(ctx: RunContext[None], topic: str) -> str:
    result = await researcher.run(f"Look up {topic}", usage=ctx.usage)
    return f"{topic}, {result.output}"


@workflow
async def ask_the_boss() -> tuple[str, int]:
    result = await boss.run("Research tea and rum")
    return result.output, result.usage.requests


async def test_an_agent_in_a_tool_of_another_is_durable_itself(runs: Runs) -> None:
    run_id = await runs.start(ask_the_boss)

    assert await runs.result(run_id) == ("tea, a report: facts and rum, a report: facts", 6)
    called = names(runs, run_id)
    assert called[0] == called[-1] == "boss.model"
    assert sorted(called) == [*["boss.model"] * 2, *["researcher.model"] * 4, *["researcher.tool.look_up"] * 2]
    assert (len(boss_script.asked), len(researcher_script.asked)) == (2, 4)


in_a_step = Agent(
    Script([("ask_inside", {})], lambda messages: returned(messages)[-1]), name="caller", capabilities=[Durable()]
)
inside = Agent(Script("from inside"), name="inside", capabilities=[Durable()])


@in_a_step.tool_plain
async def ask_inside() -> str:
    return (await inside.run("Hello")).output


@workflow
async def ask_from_a_step() -> str:
    return (await in_a_step.run("Ask inside")).output


async def test_an_agent_in_a_tool_that_is_a_step_is_a_part_of_that_step(runs: Runs) -> None:
    run_id = await runs.start(ask_from_a_step)

    assert await runs.result(run_id) == "from inside"
    assert names(runs, run_id) == ["caller.model", "caller.tool.ask_inside", "caller.model"]
    outcomes = [event.usage for event in runs.world.read_events(run_id) if event.event_type == "StepCompleted"]
    assert [len(usage or []) for usage in outcomes] == [1, 1, 1]
