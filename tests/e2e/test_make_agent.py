"""`make agent` from beginning to end: it builds, deploys, asks, kills, and shows the whole answer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples.research_agent.sources import REPORT
from tests.e2e.conftest import PROJECT


@pytest.mark.timeout(600)
def test_an_answer_outlives_its_reader_and_the_functions(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path]), "COLUMNS": "160"}
    environment.pop("MODEL", None)
    command = [sys.executable, "-m", "tools.agent"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)

    told, shown = done.stdout.split("\nAnswer\n")
    answer = shown.partition("\nTimeline\n")[0].strip()
    assert answer.startswith("A café in Lisbon would pay") and REPORT in answer
    for what in ("the reader. Another one reads on", "of the Orchestrator", "of the StepExecutor"):
        assert re.search(rf"kill -9 \d+.*{what}", told), told
    # The words of the last attempt, which were read after all of that.
    assert answer in told.rpartition("begins anew")[2]
    assert "needs approval" in told and "attempt 2" in shown
    assert re.search(r"scripted +\d+ +\d+ +0\.00\d+", shown), shown
    assert re.search(r"DynamoDB write units +\d+", shown), shown
