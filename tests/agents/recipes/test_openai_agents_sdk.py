"""The recipe for the OpenAI Agents SDK: docs/guide/agents/openai-agents.md."""

import json
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, Model, ModelProvider, ModelResponse, Runner, SQLiteSession, WebSearchTool
from agents.usage import Usage
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from examples.agents import openai_agents_sdk as recipe
from tests.agents.pydantic_ai.worlds import Runs, gathered, names, steps
from worldflow import UnsupportedOperationError, workflow


def says(text: str) -> Any:
    content = ResponseOutputText(annotations=[], text=text, type="output_text")
    return ResponseOutputMessage(id="m", role="assistant", status="completed", type="message", content=[content])


def calls(name: str, **arguments: str) -> Any:
    call_id = "-".join([name, *arguments.values()])
    return ResponseFunctionToolCall(arguments=json.dumps(arguments), call_id=call_id, name=name, type="function_call")


class Script(Model, ModelProvider):
    """Goes through its lines, one a request."""

    def __init__(self, *lines: list[Any]) -> None:
        self.lines = lines
        self.requests: list[dict[str, Any]] = []

    def get_model(self, model_name: str | None) -> Model:
        return self

    async def get_response(self, system_instructions: Any, input: Any, settings: Any, tools: Any, *_: Any, **__: Any):  # type: ignore[no-untyped-def,override]
        line = self.lines[len(self.requests)]
        self.requests.append({"instructions": system_instructions, "input": input, "tools": tools})
        return ModelResponse(output=line, usage=Usage(requests=1, input_tokens=9, output_tokens=3), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Forecasts that are at work at the same time, each until there are three."""
    at_work: list[Any] = []

    async def forecast(city: str) -> str:
        await gathered(at_work, 3)
        return f"sunny in {city}"

    monkeypatch.setattr(recipe, "forecast", forecast)
    return at_work


def use(script: Script, monkeypatch: pytest.MonkeyPatch) -> Script:
    monkeypatch.setattr(recipe, "models", script)
    return script


CITIES = ("Graz", "Linz", "Vienna")


async def test_requests_and_tools_are_steps_and_tools_run_side_by_side(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, alive: list[Any]
) -> None:
    script = use(Script([calls("weather", city=city) for city in CITIES], [says("Take a hat.")]), monkeypatch)
    run_id = await runs.start(recipe.openai_support, "A hat?")

    assert await runs.result(run_id) == "Take a hat."
    assert len(alive) == 3
    assert names(runs, run_id) == ["request_openai", *["look_up_openai_weather"] * 3, "request_openai"]
    assert len(script.requests) == 2
    assert script.requests[0]["instructions"] == "Help the customer."
    assert [tool.name for tool in script.requests[0]["tools"]] == ["weather", "refund"]
    outputs = [item["output"] for item in script.requests[1]["input"] if item.get("type") == "function_call_output"]
    assert outputs == [f"sunny in {city}" for city in CITIES]


@pytest.mark.parametrize("approved", [True, False])
async def test_a_tool_that_needs_an_approval_waits_for_it(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, approved: bool
) -> None:
    script = use(Script([calls("refund", order="7")], [says("Done.")]), monkeypatch)
    run_id = await runs.start(recipe.openai_support, "My money!")
    assert names(runs, run_id) == ["request_openai"]

    await runs.signal(run_id, "approve", approved)

    assert await runs.result(run_id) == "Done."
    assert ("refund_openai_order" in names(runs, run_id)) is approved
    assert len(script.requests) == 2


async def test_a_handoff(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    use(Script([calls("transfer_to_billing")], [says("Paid.")]), monkeypatch)
    billing = Agent(name="billing", instructions="Bill them.")

    @workflow
    async def hands_over_an_openai_agent(question: str) -> str:
        desk = Agent(name="desk", instructions="Hand over.", handoffs=[billing])
        return str((await Runner.run(desk, question, run_config=recipe.durable)).final_output)

    run_id = await runs.start(hands_over_an_openai_agent, "An invoice?")

    assert await runs.result(run_id) == "Paid."
    assert [step.input["instructions"] for step in steps(runs, run_id)] == ["Hand over.", "Bill them."]


async def test_an_agent_that_is_a_tool_of_another(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, alive: list[Any]
) -> None:
    lines = (
        [calls("ask", input="hats?")],
        [calls("weather", city=city) for city in CITIES],
        [says("Sun.")],
        [says("Hat!")],
    )
    use(Script(*lines), monkeypatch)

    @workflow
    async def nests_openai_agents(question: str) -> str:
        expert = Agent(name="expert", tools=[recipe.weather])
        tool = expert.as_tool("ask", "Asks the expert.", run_config=recipe.durable)
        boss = Agent(name="boss", tools=[tool])
        return str((await Runner.run(boss, question, run_config=recipe.durable)).final_output)

    run_id = await runs.start(nests_openai_agents, "A hat?")

    assert await runs.result(run_id) == "Hat!"
    assert len(alive) == 3


@pytest.mark.parametrize(
    ("agent", "options", "refused"),
    [
        (Agent(name="counts", output_type=int), {}, "neither output types nor hosted tools"),
        (Agent(name="searches", tools=[WebSearchTool()]), {}, "neither output types nor hosted tools"),
        (Agent(name="remembers"), {"session": True}, "threads cannot be replayed"),
    ],
    ids=["output type", "hosted tool", "session"],
)
async def test_what_the_recipe_does_not_do_is_refused(
    runs: Runs, tmp_path: Path, agent: Agent, options: dict[str, Any], refused: str
) -> None:
    if options:
        options = {"session": SQLiteSession("ada", tmp_path / "sessions.db")}

    @workflow
    async def asks_too_much_of_an_openai_agent() -> str:
        try:
            await Runner.run(agent, "how many?", run_config=recipe.durable, **options)
        except (NotImplementedError, UnsupportedOperationError) as error:
            return str(error)
        return ""

    assert refused in await runs.result(await runs.start(asks_too_much_of_an_openai_agent))
    if options:
        options["session"].close()


async def test_an_agent_is_not_streamed(runs: Runs) -> None:
    @workflow
    async def streams_an_openai_agent() -> str:
        try:
            async for _ in Runner.run_streamed(recipe.support, "hello", run_config=recipe.durable).stream_events():
                pass
        except NotImplementedError as error:
            return str(error)
        return ""

    assert await runs.result(await runs.start(streams_an_openai_agent)) == "this recipe does not stream"
