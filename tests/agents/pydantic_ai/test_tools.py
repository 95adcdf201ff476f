"""Kinds of tools, and what they raise."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent, FunctionToolset, ModelRetry, RunContext
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import DynamicToolset

from tests.agents.pydantic_ai.scripts import Script, returned, told_to_retry
from tests.agents.pydantic_ai.worlds import Runs, names, steps
from worldflow import FatalError, in_workflow, workflow
from worldflow.ai.pydantic import Durable


class Point(BaseModel):
    x: int
    y: int


told: list[Any] = []
kinds_script = Script(
    [("plain", {"point": {"x": 1, "y": 2}}), ("here", {"word": "a"}), ("sync_here", {"word": "b"})],
    lambda messages: "; ".join(map(str, returned(messages))),
)
kinds = Agent(kinds_script, name="kinds", capabilities=[Durable()])


@kinds.tool_plain
def plain(point: Point) -> dict[str, Any]:
    return {"kind": type(point).__name__, "sum": point.x + point.y, "nothing": None}


@kinds.tool_plain(metadata={"worldflow": False})
async def here(word: str) -> str:
    assert in_workflow()
    await asyncio.sleep(3600)
    return word * 2


@kinds.tool_plain(metadata={"worldflow": False})
def sync_here(word: str) -> str:
    assert in_workflow()
    return word * 3


@workflow
async def call_kinds() -> str:
    return (await kinds.run("Go")).output


async def test_plain_tools_are_steps_and_others_may_run_in_the_workflow(runs: Runs) -> None:
    run_id = await runs.start(call_kinds)

    assert await runs.result(run_id) == "{'kind': 'Point', 'sum': 3, 'nothing': None}; aa; bbb"
    assert names(runs, run_id) == ["kinds.model", "kinds.tool.plain", "kinds.model"]


wary_script = Script(
    [("open_door", {"door": 1})], [("open_door", {"door": 2})], lambda messages: returned(messages)[-1]
)
wary = Agent(wary_script, name="wary", capabilities=[Durable()])


@wary.tool_plain
async def open_door(door: int) -> str:
    if door == 1:
        raise ModelRetry("Not that one.")
    return f"door {door} is open"


@workflow
async def open_a_door() -> str:
    return (await wary.run("Open a door")).output


async def test_a_tool_that_asks_the_model_again_is_no_failed_step(runs: Runs) -> None:
    run_id = await runs.start(open_a_door)

    assert await runs.result(run_id) == "door 2 is open"
    assert names(runs, run_id) == ["wary.model", "wary.tool.open_door"] * 2 + ["wary.model"]
    assert "Not that one." in told_to_retry(wary_script.asked[-1])[0]


class Burnt(Exception):
    pass


burning = Agent(Script([("burn", {})]), name="burning", capabilities=[Durable()])
burns: list[None] = []


@burning.tool_plain
async def burn() -> None:
    burns.append(None)
    raise Burnt("to ashes") if len(burns) < 3 else FatalError("for good")


@workflow
async def burn_it() -> str:
    try:
        return (await burning.run("Burn it")).output
    except FatalError as error:
        return f"caught: {error}"


async def test_what_a_tool_raises_is_retried_by_its_step_and_raised_in_the_workflow(runs: Runs) -> None:
    burns.clear()
    run_id = await runs.start(burn_it)

    assert await runs.result(run_id) == "caught: for good"
    assert len(burns) == 3


in_order: list[str] = []
orderly = Agent(Script([("first", {}), ("second", {})], "done"), name="orderly", capabilities=[Durable()])


@orderly.tool_plain(sequential=True)
async def first() -> None:
    in_order.append("first begins")
    await asyncio.sleep(0)
    in_order.append("first ends")


@orderly.tool_plain(sequential=True)
async def second() -> None:
    in_order.append("second begins")


@workflow
async def one_by_one() -> str:
    return (await orderly.run("Go")).output


async def test_sequential_tools_run_one_after_the_other(runs: Runs) -> None:
    in_order.clear()

    assert await runs.result(await runs.start(one_by_one)) == "done"
    assert in_order == ["first begins", "first ends", "second begins"]


async def only_for_grown_ups(ctx: RunContext[int], definition: ToolDefinition) -> ToolDefinition | None:
    assert in_workflow()
    return replace(definition, description=f"For people of {ctx.deps}") if ctx.deps >= 18 else None


bar = Agent(
    Script([("serve", {"drink": "rum"})], lambda messages: returned(messages)[-1]),
    name="bar",
    deps_type=int,
    capabilities=[Durable()],
)


@bar.tool(prepare=only_for_grown_ups)
async def serve(ctx: RunContext[int], drink: str) -> str:
    return f"{drink} for {ctx.deps}"


@workflow
async def order(age: int) -> str:
    return (await bar.run("A rum", deps=age)).output


async def test_a_tool_is_prepared_in_the_workflow(runs: Runs) -> None:
    run_id = await runs.start(order, 20)

    assert await runs.result(run_id) == "rum for 20"
    definition = steps(runs, run_id)[0].input["parameters"]["function_tools"][0]
    assert definition["description"] == "For people of 20"


async def test_a_tool_that_is_left_out_is_not_offered(runs: Runs) -> None:
    run_id = await runs.start(order, 12)

    assert steps(runs, run_id)[0].input["parameters"].get("function_tools", []) == []
    assert "Unknown tool" in await runs.result(run_id)


def by_name(ctx: RunContext[str]) -> FunctionToolset[str]:
    toolset = FunctionToolset[str]()

    async def greet() -> str:
        return f"hello from {ctx.deps}"

    toolset.add_function(greet, name=f"greet_{ctx.deps}")
    return toolset


greeter = Agent(
    Script([("greet_ada", {})], lambda messages: returned(messages)[-1]),
    name="greeter",
    deps_type=str,
    toolsets=[DynamicToolset(by_name, id="greetings")],
    capabilities=[Durable()],
)


@workflow
async def greet_by_name(name: str) -> str:
    return (await greeter.run("Greet", deps=name)).output


async def test_a_dynamic_toolset_is_made_in_steps(runs: Runs) -> None:
    run_id = await runs.start(greet_by_name, "ada")

    assert await runs.result(run_id) == "hello from ada"
    assert names(runs, run_id) == [
        "greeter.tools",
        "greeter.model",
        "greeter.tool.greet_ada",
        "greeter.tools",
        "greeter.model",
    ]


checked: list[int] = []
strict = Agent(
    Script([("pay", {"amount": 0})], [("pay", {"amount": 5})], lambda messages: returned(messages)[-1]),
    name="strict",
    capabilities=[Durable()],
)


async def must_be_something(ctx: RunContext[None], amount: int) -> None:
    checked.append(amount)
    if not amount:
        raise ModelRetry("Pay something.")


@strict.tool(args_validator=must_be_something)
async def pay(ctx: RunContext[None], amount: int) -> str:
    return f"paid {amount}"


@workflow
async def pay_something() -> str:
    return (await strict.run("Pay")).output


async def test_arguments_are_validated_in_steps(runs: Runs) -> None:
    checked.clear()
    run_id = await runs.start(pay_something)

    assert await runs.result(run_id) == "paid 5"
    assert checked == [0, 5]
    assert names(runs, run_id).count("strict.validate") == 2
