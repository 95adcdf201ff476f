from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import MCPServer
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset

from tests.agents.pydantic_ai.scripts import Script, returned
from tests.agents.pydantic_ai.worlds import Runs, names
from worldflow import workflow
from worldflow.ai.pydantic import Durable

server: Any = MCPServer("sums", instructions="Add with care.")
added: list[int] = []


@server.tool()
async def add(a: int, b: int) -> int:
    """Adds two numbers."""
    added.append(a + b)
    return a + b


script = Script(
    [("add", {"a": 2, "b": 3}), ("add", {"a": 5, "b": 8})], lambda messages: str(sorted(returned(messages)))
)
calculator = Agent(
    script,
    name="calculator",
    toolsets=[MCPToolset(server, id="sums", include_instructions=True)],
    capabilities=[Durable()],
)


@workflow
async def calculate() -> str:
    return (await calculator.run("Add 2 and 3, and 5 and 8")).output


async def test_the_tools_of_a_server_are_listed_and_called_in_steps(runs: Runs) -> None:
    added.clear()
    run_id = await runs.start(calculate)

    assert await runs.result(run_id) == "[5, 13]"
    assert sorted(added) == [5, 13]
    assert sorted(set(names(runs, run_id))) == [
        "calculator.instructions",
        "calculator.model",
        "calculator.tool.add",
        "calculator.tools",
    ]
    assert "Add with care." in (script.asked[-1][0].instructions or "")
