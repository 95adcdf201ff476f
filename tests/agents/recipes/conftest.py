"""The recipes of examples/agents, where their frameworks are installed: in `.venv/agents`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.agents.pydantic_ai.worlds import Forgetful, InEnvironment, Runs

NEEDS = {"openai_agents_sdk": "agents", "langgraph": "langgraph", "strands": "strands", "libraries": "langgraph"}

collect_ignore_glob = [f"test_*{name}*.py" for name, module in NEEDS.items() if find_spec(module) is None]


@pytest.fixture(params=["environment", "forgetful"])
async def runs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Runs]:
    """A process that keeps runs in memory, and processes of which none sees a second turn."""
    if request.param == "environment":
        inside = InEnvironment()
        async with inside.env:
            yield inside
    else:
        system = Forgetful(str(tmp_path / "worldflow.db"))
        yield system
        await system.close()
