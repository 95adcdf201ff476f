"""What agents return: models, output functions, validators that ask the model again."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, RunContext

from tests.agents.pydantic_ai.scripts import Script, told_to_retry
from tests.agents.pydantic_ai.worlds import Runs, names
from worldflow import workflow
from worldflow.ai.pydantic import Durable


class Trip(BaseModel):
    city: str
    days: int


planner_script = Script(
    [("final_result", {"city": "Graz", "days": "many"})], [("final_result", {"city": "Graz", "days": 3})]
)
planner = Agent(planner_script, name="planner", output_type=Trip, capabilities=[Durable()])


@workflow
async def plan_trip() -> Trip:
    return (await planner.run("Plan a trip")).output


async def test_an_output_that_does_not_fit_its_model_is_asked_for_again(runs: Runs) -> None:
    run_id = await runs.start(plan_trip)

    assert await runs.result(run_id) == Trip(city="Graz", days=3)
    assert names(runs, run_id) == ["planner.model"] * 2
    assert "valid integer" in told_to_retry(planner_script.asked[-1])[0]


def doubled(number: int) -> int:
    return number * 2


doubler = Agent(
    Script([("final_result", {"number": 21})]), name="doubler", output_type=doubled, capabilities=[Durable()]
)


@workflow
async def double() -> int:
    return (await doubler.run("Double it")).output


async def test_an_output_function_runs_in_the_workflow(runs: Runs) -> None:
    run_id = await runs.start(double)

    assert await runs.result(run_id) == 42
    assert names(runs, run_id) == ["doubler.model"]


polite_script = Script("no", "yes, please")
polite = Agent(polite_script, name="polite", capabilities=[Durable()])


@polite.output_validator
def must_be_polite(ctx: RunContext[None], output: str) -> str:
    if "please" not in output:
        raise ModelRetry("Say please.")
    return output


@workflow
async def ask_politely() -> str:
    return (await polite.run("Do you want tea?")).output


async def test_an_output_validator_asks_the_model_again(runs: Runs) -> None:
    polite_script.asked.clear()

    assert await runs.result(await runs.start(ask_politely)) == "yes, please"
    assert told_to_retry(polite_script.asked[0]) == []
    assert "Say please." in str(polite_script.asked[-1])
