"""The orchestrator is told when a schedule is due: what computes that is only imported where schedules are made."""

import subprocess
import sys

CODE = """
import sys
import worldflow.aws_handlers, worldflow.runtime.schedules
print(sorted({"worldflow.engine.recurrence", "tzdata"} & sys.modules.keys()))
"""


def test_it_is_not_imported() -> None:
    run = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert run.stdout == "[]\n"
