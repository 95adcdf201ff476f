"""Mistakes, and what the errors say about them."""

from __future__ import annotations

import re
import sys
import types
from typing import Any

import pytest
from pydantic_ai import Agent, FunctionToolset, UserError
from pydantic_ai.models.test import TestModel

from tests.agents.pydantic_ai.scripts import Script
from tests.agents.pydantic_ai.worlds import InEnvironment
from worldflow import ConfigurationError, RunFailedError, SerializationError, workflow
from worldflow.ai.pydantic import Durable


class Connection:
    """Cannot be passed to a step."""

    def __init__(self) -> None:
        self.socket = object()


def test_an_agent_needs_a_name() -> None:
    with pytest.raises(UserError, match="needs to have a unique `name`"):
        Agent(TestModel(), capabilities=[Durable()])


def test_a_name_may_be_given_to_the_steps_alone() -> None:
    agent = Agent(TestModel(), capabilities=[Durable(name="nameless")])
    durable = Durable.from_agent(agent)
    assert durable is not None and durable.name == "nameless"


@pytest.mark.parametrize("name", ["two words", "a/b", "x" * 96])
def test_a_name_must_be_that_of_a_step(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot begin the names of its steps"):
        Agent(TestModel(), name=name, capabilities=[Durable()])


def test_deps_that_are_no_data_are_refused_where_the_agent_is_made() -> None:
    with pytest.raises(ConfigurationError, match=r"the deps of agent 'connected' cannot be passed to its steps"):
        Agent(TestModel(), name="connected", deps_type=Connection, capabilities=[Durable()])


undeclared = Agent(Script("hello"), name="undeclared", capabilities=[Durable()])


@workflow
async def run_with_undeclared_deps() -> str:
    deps: Any = Connection()
    return (await undeclared.run("Hi", deps=deps)).output


async def test_deps_that_do_not_fit_their_type_fail_the_run() -> None:
    runs = InEnvironment()
    async with runs.env:
        run_id = await runs.start(run_with_undeclared_deps)
        with pytest.raises(RunFailedError) as failed:
            await runs.result(run_id)
    assert isinstance(failed.value.__cause__, SerializationError)
    assert "deps" in str(failed.value)


MODULE = """
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel
from worldflow.ai.pydantic import Durable

one = Agent(TestModel(), name="twin", capabilities=[Durable()])
"""


def _import(name: str, code: str, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(code, f"{name}.py", "exec"), module.__dict__)
    return module


def test_two_agents_cannot_share_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    _import("shop.agents", MODULE, monkeypatch)

    problem = "two agents are named 'twin': in shop.agents, line 6 and in shop.others, line 6"
    with pytest.raises(ConfigurationError, match=re.escape(problem)):
        _import("shop.others", MODULE, monkeypatch)


def test_nor_in_one_module(monkeypatch: pytest.MonkeyPatch) -> None:
    other = 'other = Agent(TestModel(), name="twin", capabilities=[Durable()])'
    with pytest.raises(ConfigurationError, match=r"line 6 and in shop\.agents, line 7"):
        _import("shop.agents", MODULE + other, monkeypatch)


def test_a_module_may_be_loaded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _import("shop.agents", MODULE, monkeypatch)
    _import("shop.agents", f"\n\n{MODULE}", monkeypatch)


def _made() -> Agent[None, str]:
    return Agent(Script("hello"), name="made", capabilities=[Durable()])


async def test_an_agent_whose_name_another_has_taken_does_not_run() -> None:
    mine = _made()
    _made()

    @workflow
    async def run_mine() -> str:
        return (await mine.run("Hi")).output

    runs = InEnvironment()
    async with runs.env:
        run_id = await runs.start(run_mine)
        with pytest.raises(RunFailedError, match="another agent of this name was made later"):
            await runs.result(run_id)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"time_out": "1s"}, "there is no option 'time_out'"),
        ({"timeout": "soon"}, "soon"),
        ({"timeout": 0}, "greater than zero"),
        ({"retry": 3}, "RetryPolicy"),
        ({"guarantee": "always"}, "guarantee"),
        ({"inline": "yes"}, "inline must be True or False"),
        ("1s", "must be a dict of options"),
    ],
)
def test_options_are_checked(options: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as raised:
        Durable(model=options)
    assert str(raised.value).startswith("Durable(model=...)")


mistaken = Agent(Script([("work", {})]), name="mistaken", capabilities=[Durable()])


@mistaken.tool_plain(metadata={"worldflow": {"time_out": "1s"}})
async def work() -> None: ...


@workflow
async def run_mistaken() -> None:
    await mistaken.run("Go")


async def test_options_of_a_tool_are_checked_too() -> None:
    runs = InEnvironment()
    async with runs.env:
        run_id = await runs.start(run_mistaken)
        with pytest.raises(RunFailedError, match="the tool 'work': there is no option 'time_out'"):
            await runs.result(run_id)


@workflow
async def make_an_agent() -> None:
    Agent(TestModel(), name="late", capabilities=[Durable()])


async def test_an_agent_cannot_be_made_in_a_workflow() -> None:
    runs = InEnvironment()
    async with runs.env:
        run_id = await runs.start(make_an_agent)
        with pytest.raises(RunFailedError, match="must be defined outside of workflows"):
            await runs.result(run_id)


@workflow
async def bring_tools() -> None:
    toolset = FunctionToolset[None](id="brought")
    toolset.add_function(lambda: "x", name="x")
    await undeclared.run("Hi", toolsets=[toolset])


@workflow
async def bring_a_model() -> None:
    await undeclared.run("Hi", model=TestModel())


@workflow
async def run_blocking() -> str:
    return undeclared.run_sync("Hi").output


@pytest.mark.parametrize(
    ("flow", "problem"),
    [
        (bring_tools, "cannot be added at runtime with Worldflow"),
        (bring_a_model, "was not registered with `Durable`.* use `worldflow.ai.pydantic.answered_by"),
        (run_blocking, "Worldflow runs the loop; await the coroutine"),
    ],
)
async def test_what_the_steps_could_not_find_is_refused(flow: Any, problem: str) -> None:
    runs = InEnvironment()
    async with runs.env:
        run_id = await runs.start(flow)
        with pytest.raises(RunFailedError, match=problem):
            await runs.result(run_id)
