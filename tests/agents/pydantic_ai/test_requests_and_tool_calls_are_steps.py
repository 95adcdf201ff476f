from __future__ import annotations

from dataclasses import dataclass

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage

from tests.agents.pydantic_ai.scripts import Script, returned
from tests.agents.pydantic_ai.worlds import Runs, gathered, names, steps
from worldflow import RetryPolicy, step_info, workflow
from worldflow.ai.pydantic import Durable


@dataclass
class Customer:
    name: str


CITIES = ("Vienna", "Graz", "Linz")
alive: list[object] = []
keys: list[str] = []
script = Script([("weather", {"city": city}) for city in CITIES], lambda messages: "; ".join(returned(messages)))
agent = Agent(script, name="forecaster", deps_type=Customer, capabilities=[Durable(model={"timeout": "2m"})])


@agent.tool(metadata={"worldflow": {"timeout": "10s", "heartbeat_timeout": "5s"}})
async def weather(ctx: RunContext[Customer], city: str) -> str:
    keys.append(step_info().idempotency_key)
    await gathered(alive, len(CITIES))
    return f"sunny in {city} for {ctx.deps.name}"


@agent.tool_plain(metadata={"worldflow": {"guarantee": "at_most_once"}})
async def book(city: str) -> str:
    return f"a room in {city}"


@workflow
async def forecast(prompt: str) -> str:
    return (await agent.run(prompt, deps=Customer("Ada"))).output


@pytest.fixture(autouse=True)
def _fresh() -> None:
    alive.clear()
    keys.clear()
    script.asked.clear()


async def test_tools_that_the_model_calls_together_run_side_by_side(runs: Runs) -> None:
    run_id = await runs.start(forecast, "Where is it sunny?")

    assert await runs.result(run_id) == "sunny in Vienna for Ada; sunny in Graz for Ada; sunny in Linz for Ada"
    assert names(runs, run_id) == ["forecaster.model", *["forecaster.tool.weather"] * 3, "forecaster.model"]


async def test_nothing_runs_twice(runs: Runs) -> None:
    await runs.result(await runs.start(forecast, "Where is it sunny?"))

    assert len(script.asked) == 2
    assert sorted(keys) == sorted(set(keys)) and len(keys) == 3


async def test_steps_have_the_options_of_the_agent_and_of_the_tool(runs: Runs) -> None:
    run_id = await runs.start(forecast, "Where is it sunny?")

    asked, first, *_ = steps(runs, run_id)
    assert (asked.timeout, asked.heartbeat_timeout) == (120, None)
    assert (first.timeout, first.heartbeat_timeout) == (10, 5)


def _tired(messages: list[ModelMessage]) -> str:
    failures.append(len(messages))
    if len(failures) < 3:
        raise ConnectionError("the model is tired")
    return "awake"


failures: list[int] = []
tired = Agent(
    Script(_tired),
    name="tired",
    capabilities=[Durable(steps={"inline": True}, model={"retry": RetryPolicy(max_attempts=3)})],
)


@workflow
async def wake_up() -> str:
    return (await tired.run("Wake up")).output


async def test_a_failed_request_is_retried_by_its_step(runs: Runs) -> None:
    failures.clear()
    run_id = await runs.start(wake_up)

    assert await runs.result(run_id) == "awake"
    assert failures == [1, 1, 1]
    assert names(runs, run_id) == ["tired.model"]
    assert steps(runs, run_id)[0].inline


async def test_tokens_are_recorded_with_the_request(runs: Runs) -> None:
    run_id = await runs.start(wake_up)

    await runs.result(run_id)
    completed = [event.usage for event in runs.world.read_events(run_id) if event.event_type == "StepCompleted"]
    assert completed == [[{"model": "script", "input_tokens": 52, "output_tokens": 1}]]


async def test_elsewhere_the_agent_is_what_it_was() -> None:
    script.asked.clear()
    alive[:] = CITIES
    result = await Agent(Script("hello"), name="plain", capabilities=[Durable()]).run("Hi")

    assert result.output == "hello"
