from __future__ import annotations

from typing import Any

from pydantic_ai import Agent, RunContext
from pydantic_ai.capabilities import ResolveModelId
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models import Model, ModelResolutionContext
from pydantic_ai.models.test import TestModel

from tests.agents.pydantic_ai.scripts import Script, returned
from tests.agents.pydantic_ai.worlds import Runs, names, steps
from worldflow import in_workflow, now, workflow
from worldflow.ai.pydantic import Durable

reporter_script = Script([("measure", {})], "it is all quiet")
reporter = Agent(
    reporter_script,
    name="reporter",
    deps_type=str,
    capabilities=[Durable(models={"loud": Script("IT IS LOUD")})],
)


@reporter.tool_plain
async def measure() -> int:
    return 3


@reporter.instructions
def address(ctx: RunContext[str]) -> str:
    assert in_workflow()
    return f"You speak to {ctx.deps}."


@reporter.instructions
async def say_the_year() -> str:
    return f"It is {now().year}."


@workflow
async def report_of_the_agent() -> str:
    return (await reporter.run("Report", deps="Ada")).output


async def test_instructions_are_made_in_the_workflow(runs: Runs) -> None:
    reporter_script.asked.clear()
    run_id = await runs.start(report_of_the_agent)

    assert await runs.result(run_id) == "it is all quiet"
    request = reporter_script.asked[0][0]
    assert isinstance(request, ModelRequest)
    year = runs.world.read_run(run_id).created_at.year
    assert request.instructions == f"You speak to Ada.\n\nIt is {year}."


@workflow
async def report_in_a_stream() -> list[str]:
    async with reporter.run_stream("Report", deps="Ada") as result:
        return [text async for text in result.stream_text()]


async def test_run_stream_gives_an_answer_when_its_step_is_done(runs: Runs) -> None:
    run_id = await runs.start(report_in_a_stream)

    assert await runs.result(run_id) == ["it is all quiet"]
    assert names(runs, run_id) == ["reporter.model", "reporter.tool.measure", "reporter.model"]


@workflow
async def report_node_by_node() -> list[str]:
    async with reporter.iter("Report", deps="Ada") as run:
        nodes = [type(node).__name__ async for node in run]
    assert run.result is not None
    return [*nodes, run.result.output]


async def test_iter_gives_the_nodes(runs: Runs) -> None:
    run_id = await runs.start(report_node_by_node)

    *nodes, output = await runs.result(run_id)
    assert output == "it is all quiet"
    assert nodes.count("ModelRequestNode") == nodes.count("CallToolsNode") == 2


@workflow
async def report_events() -> list[str]:
    kinds = []
    async with reporter.run_stream_events("Report", deps="Ada") as events:
        async for event in events:
            kinds.append(event.event_kind)
    return kinds


async def test_run_stream_events_gives_the_events_of_the_whole_run(runs: Runs) -> None:
    kinds = await runs.result(await runs.start(report_events))

    assert kinds[-1] == "agent_run_result"
    assert kinds.count("function_tool_call") == kinds.count("function_tool_result") == 1


@workflow
async def report_loudly() -> str:
    return (await reporter.run("Report", deps="Ada", model="loud")).output


async def test_a_run_may_ask_for_another_model_by_its_name(runs: Runs) -> None:
    run_id = await runs.start(report_loudly)

    assert await runs.result(run_id) == "IT IS LOUD"
    assert steps(runs, run_id)[0].input["model_id"] == "loud"


@workflow
async def report_loudly_by_override() -> str:
    with reporter.override(model="loud", deps="Bob"):
        return (await reporter.run("Report")).output


async def test_override_works_in_a_workflow(runs: Runs) -> None:
    assert await runs.result(await runs.start(report_loudly_by_override)) == "IT IS LOUD"


made: list[tuple[str, str, bool]] = []


def by_customer(ctx: ModelResolutionContext[str], model_id: str) -> Model | None:
    made.append((model_id, ctx.deps, in_workflow()))
    return Script(f"{model_id} for {ctx.deps}") if model_id.startswith("own:") else None


custom = Agent("own:small", name="custom", deps_type=str, capabilities=[Durable(), ResolveModelId(by_customer)])


@workflow
async def ask_own_model() -> list[str]:
    small = await custom.run("Hi", deps="Ada")
    large = await custom.run("Hi", deps="Ada", model="own:large")
    return [small.output, large.output]


async def test_a_model_is_made_in_the_step_from_its_name_and_the_deps(runs: Runs) -> None:
    made.clear()
    run_id = await runs.start(ask_own_model)

    assert await runs.result(run_id) == ["own:small for Ada", "own:large for Ada"]
    assert [step.input["model_id"] for step in steps(runs, run_id)] == ["own:small", "own:large"]
    assert ("own:small", "Ada", False) in made


unregistered = Agent(TestModel(custom_output_text="plain"), name="unregistered")


@workflow
async def run_without_durable() -> str:
    return (await unregistered.run("Hi")).output


async def test_an_agent_without_the_capability_runs_in_the_workflow_itself(runs: Runs) -> None:
    run_id = await runs.start(run_without_durable)

    assert await runs.result(run_id) == "plain"
    assert names(runs, run_id) == []


inline_script = Script([("add_one", {"to": 1})], lambda messages: str(returned(messages)[-1]))
inline = Agent(inline_script, name="inline", capabilities=[Durable(inline=True)])


@inline.tool_plain
async def add_one(to: int) -> int:
    assert not in_workflow()
    return to + 1


@inline.tool_plain(metadata={"worldflow": {"inline": False}})
async def never_called() -> None: ...


@workflow
async def add_inline() -> str:
    return (await inline.run("Add one")).output


async def test_an_inline_agent_needs_no_queue(runs: Runs) -> None:
    run_id = await runs.start(add_inline)

    assert await runs.result(run_id) == "2"
    assert [(step.name, step.inline) for step in steps(runs, run_id)] == [
        ("inline.model", True),
        ("inline.tool.add_one", True),
        ("inline.model", True),
    ]


class Client:
    max_retries = 2


class Provided(Script):
    """A model whose client retries by itself."""

    def __init__(self) -> None:
        super().__init__(lambda messages: f"{self.client.max_retries} retries")
        self.client = Client()


def provided(ctx: ModelResolutionContext[Any], model_id: str) -> Model:
    return Provided()


by_name = Agent("own:provided", name="by_name", capabilities=[Durable(), ResolveModelId(provided)])
as_instance = Agent(Provided(), name="as_instance", capabilities=[Durable()])


@workflow
async def count_retries() -> list[str]:
    return [(await by_name.run("Hi")).output, (await as_instance.run("Hi")).output]


async def test_a_client_that_is_made_for_the_step_does_not_retry_beside_it(runs: Runs) -> None:
    """That of an instance is the application's."""
    assert await runs.result(await runs.start(count_retries)) == ["0 retries", "2 retries"]
