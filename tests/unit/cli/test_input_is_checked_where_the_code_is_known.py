import os
import subprocess
import sys

import pytest

from tests.unit.cli.conftest import FLOWS, Cli


@pytest.mark.parametrize(
    ("input", "complaint"),
    [
        ('{"day": "soon"}', "day: Input should be a valid date"),
        ("{}", "day: required, but missing"),
        ('{"day": "2026-02-28", "night": 1}', "night: no such parameter"),
    ],
)
def test_what_does_not_fit_is_named_in_a_line_and_nothing_is_stored(cli: Cli, input: str, complaint: str):
    error = cli.fails("start", "tomorrow", "--input", input, "-w", FLOWS)
    assert error.startswith("Error: the input does not fit tomorrow(day: datetime.date): ")
    assert complaint in error
    assert error.count("\n") == 1
    assert not cli.file.exists()


def test_an_unknown_workflow_is_refused(cli: Cli):
    error = cli.fails("start", "yesterday", "-w", FLOWS)
    assert error.startswith("Error: there is no workflow 'yesterday'; loaded workflows: ")
    assert "tomorrow" in error


def test_a_module_that_does_not_import_is_named_and_shows_no_traceback(cli: Cli):
    # In a process of its own: here the test runner's own handlers take what is logged.
    command = [sys.executable, "-m", "worldflow", "start", "ask", "--local", str(cli.file), "-w", "no_such_module"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr == (
        "Error: there is no workflow 'ask'; no workflows are loaded; "
        "not imported: no_such_module (ModuleNotFoundError: No module named 'no_such_module'). "
        "Modules to import are named in WORLDFLOW_WORKFLOWS\n"
    )


def test_the_modules_are_named_by_the_environment_too(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLDFLOW_WORKFLOWS", FLOWS)
    assert "there is no workflow" in cli.fails("start", "yesterday")
