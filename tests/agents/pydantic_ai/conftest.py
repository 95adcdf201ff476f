"""Agents of these tests ask no real model, and run in each of the worlds of `worlds.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pydantic_ai.models
import pytest

from tests.agents.pydantic_ai.worlds import Forgetful, InEnvironment, Runs

pydantic_ai.models.ALLOW_MODEL_REQUESTS = False


@pytest.fixture(params=["environment", "forgetful"])
async def runs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Runs]:
    if request.param == "environment":
        inside = InEnvironment()
        async with inside.env:
            yield inside
    else:
        system = Forgetful(str(tmp_path / "worldflow.db"))
        yield system
        await system.close()
