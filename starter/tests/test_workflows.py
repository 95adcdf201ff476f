"""What holds for every workflow of the project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from worldflow.runtime import load_workflows
from worldflow.turns.loading import import_failures

WORKFLOWS = Path(__file__).parents[1] / "layers/workflows"


def test_every_module_can_be_imported() -> None:
    load_workflows(["workflows"])
    assert import_failures == {}


def test_workflows_can_be_replayed() -> None:
    command = [sys.executable, "-m", "worldflow", "check", str(WORKFLOWS)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
