"""What is compared, and what each keeps of a step before it goes on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.workloads import REPLAYING, RUNNING

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".venv/peers"
PYTHON = str(INSTALLED / "bin/python")


@dataclass(frozen=True, kw_only=True, slots=True)
class System:
    name: str
    program: str
    """A module beside this one."""
    keeps: str
    variant: str = ""
    python: str = PYTHON
    packages: Sequence[str] = ()
    """Of PyPI, whose versions are told."""
    servers: Sequence[str] = ()
    """Packages of npm, the same."""
    rows: Sequence[str] = RUNNING

    def command(self) -> list[str]:
        variant = ["--variant", self.variant] if self.variant else []
        return [self.python, "-m", f"benchmarks.peers.{self.program}", *variant]


SYSTEMS = (
    System(
        name="the disk itself",
        program="disk",
        python=sys.executable,
        keeps="SQLite in WAL mode with synchronous full, one fsync a commit, and nothing but a row in each",
    ),
    System(
        name="Worldflow, LocalWorld, inline steps",
        program="local_world",
        variant="inline",
        packages=("worldflow",),
        python=sys.executable,
        rows=RUNNING + REPLAYING,
        keeps="each step's result is on the disk before the workflow goes on: SQLite, WAL, one fsync a commit",
    ),
    System(
        name="Worldflow, LocalWorld, queued steps",
        program="local_world",
        variant="queued",
        packages=("worldflow",),
        python=sys.executable,
        keeps="the same, and each step's message before it runs and its outcome after",
    ),
    System(
        name="Restate",
        program="restate_server",
        packages=("restate-sdk",),
        servers=("@restatedev/restate-server",),
        keeps="each step's result is on the server's disk before the handler goes on: one server, no replica",
    ),
    System(
        name="DBOS, SQLite",
        program="dbos_sqlite",
        packages=("dbos",),
        keeps=(
            "each step's result is on the disk before the workflow goes on: SQLite with a rollback journal. It looks "
            "for notifications every millisecond, the least that it takes, where its default is a second"
        ),
    ),
    System(
        name="AWS durable execution SDK, local runner, memory",
        program="aws_runner",
        variant="memory",
        packages=("aws-durable-execution-sdk-python", "aws-durable-execution-sdk-python-testing"),
        keeps="nothing: what has run is gone with the process",
    ),
    System(
        name="AWS durable execution SDK, local runner, SQLite",
        program="aws_runner",
        variant="SQLite",
        packages=("aws-durable-execution-sdk-python", "aws-durable-execution-sdk-python-testing"),
        keeps="the whole run is written anew at each checkpoint: SQLite, WAL, synchronous normal, a connection each",
    ),
    System(
        name="durabletask, in-memory backend",
        program="durabletask_memory",
        packages=("durabletask",),
        keeps="nothing: what has run is gone with the process",
    ),
    System(
        name="Vercel workflows for Python, local world",
        program="vercel_local",
        packages=("vercel-workflow",),
        keeps="files that are not synced; its queue is in memory and gone with the process",
    ),
    System(
        name="Temporal SDK, Replayer",
        program="temporal_replayer",
        packages=("temporalio",),
        rows=REPLAYING,
        keeps="replays what a server has kept; no server is measured",
    ),
)
