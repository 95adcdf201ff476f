from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support import clock


def process(hashes: str, *arguments: str) -> str:
    """What a process prints that puts sets in an order of its own."""
    environment = {**os.environ, **clock.environment(), "PYTHONHASHSEED": hashes}
    command = [sys.executable, "-m", "tests.agents.pydantic_ai.other_process", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return str(json.loads(done.stdout))


def test_a_process_replays_what_another_has_recorded(tmp_path: Path) -> None:
    path = str(tmp_path / "worldflow.db")
    token = process("1", path, "start")

    assert process("2", path, token) == "east and west; east and east and west and west"
