import subprocess
import sys

CODE = """
import sys
import worldflow.aws_handlers, worldflow.testing, worldflow.aws_setup
unwanted = {"mcp", "typer", "rich", "click"}
unwanted |= {f"worldflow.{name}" for name in ("cli", "costs", "mcp", "presentation", "sources")}
unwanted.add("worldflow.engine.workflow.paging")
print(sorted(unwanted & sys.modules.keys()))
"""


def test_nor_typer_nor_rich():
    run = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert run.stdout == "[]\n"
