"""The page about coding assistants: its tables name all tools, and its configurations start a server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client
from typer.main import get_command

from tests.docs.pages import PROJECT, blocks
from tests.support.assistant import Assistant
from worldflow.cli import app
from worldflow.mcp.server import WRITING, create_server
from worldflow.worlds import LocalWorld

PAGE = "docs/guide/mcp.md"
LIMIT = 60
CONFIGURATIONS = [json.loads(block) for block in blocks(PAGE, "json")]


def _server(configuration: dict[str, Any]) -> dict[str, Any]:
    (servers,) = configuration.values()
    return dict(servers["worldflow"])


def test_the_tables_have_every_tool() -> None:
    reads, writes = (
        set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))))
        for table in (PROJECT / PAGE).read_text().split("With `--allow-writes` there are also:")
    )
    with closing(LocalWorld(":memory:")) as world:
        tools = set(Assistant(create_server(world)).tools())

    assert (reads, writes) == (tools, set(WRITING))


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda configuration: next(iter(configuration)))
def test_the_command_of_a_configuration_exists(configuration: dict[str, Any]) -> None:
    module, name, *options = _server(configuration)["args"][1:]
    assert (module, name) == ("worldflow", "mcp")
    commands: dict[str, Any] = getattr(get_command(app), "commands")  # noqa: B009  the type is click's own
    commands["mcp"].make_context(None, options).close()


async def test_a_configuration_starts_a_server(tmp_path: Path) -> None:
    """That of VS Code, with this Python and in a folder where the file is."""
    server = _server(CONFIGURATIONS[1])
    text = json.dumps(server).replace("${workspaceFolder}/layers", str(PROJECT / "layers"))
    server = json.loads(text.replace("${workspaceFolder}", str(tmp_path)))
    LocalWorld(tmp_path / "runs.db").close()
    paths = ":".join([server["env"]["PYTHONPATH"], *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths}
    started = StdioServerParameters(command=sys.executable, args=server["args"], env=environment)

    async with asyncio.timeout(LIMIT), Client(stdio_client(started)) as client:
        found = (await client.call_tool("list_workflows", {})).structured_content

    assert found and found["not_imported"] == {}
    assert "hello" in {workflow["name"] for workflow in found["workflows"]}
