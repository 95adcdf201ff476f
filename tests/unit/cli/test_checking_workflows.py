import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from worldflow.cli import app

GOOD = "from worldflow import now, workflow\n\n@workflow\nasync def good():\n    return now()\n"
BAD = "import time\nfrom worldflow import workflow\n\n@workflow\nasync def bad():\n    return time.time()\n"
WORSE = BAD.replace("def bad", "def worse")
HINT = "import logging\nfrom worldflow import workflow\n\n@workflow\nasync def bad():\n    logging.info('x')\n"
BOOBY_TRAP = "raise SystemExit('imported')\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that Python finds modules in, as `python -m` does where it is called."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def write(files: dict[str, str]) -> None:
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def check(*args: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, ["check", *args], env=env)


def test_nothing_found_exits_with_0():
    write({"good.py": GOOD})
    result = check("good.py")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "1 workflow in 1 file: nothing found.\n"


def test_a_project_is_checked_where_it_has_its_workflows():
    write({"layers/workflows/bad.py": BAD})
    assert check().stdout.startswith("layers/workflows/bad.py:6:12: ")


def test_a_finding_is_a_line_and_exits_with_1():
    write({"bad.py": BAD})
    result = check("bad.py")
    assert result.exit_code == 1
    why = "it returns a different time on replay. Instead: worldflow.now()"
    assert result.stdout == f"bad.py:6:12: time.time in bad: {why}\n"
    assert result.stderr == "1 workflow in 1 file: 1 finding.\n"


def test_what_a_helper_does_is_said_of_its_workflow():
    write({"bad.py": BAD.replace("return", "return helper(),") + "\n\ndef helper():\n    return time.monotonic()\n"})
    assert "time.monotonic in helper, which bad uses: " in check("bad.py").stdout


def test_a_hint_alone_exits_with_0():
    write({"hint.py": HINT})
    result = check("hint.py")
    assert result.exit_code == 0
    assert result.stdout.startswith("hint.py:6:5: hint: logging.info() in bad: ")


@pytest.mark.parametrize("target", ["shop", "shop/", "shop.flows", "shop/flows", "shop.flows.bad", "shop/flows/bad.py"])
def test_modules_packages_directories_and_files(target: str):
    package = {"shop/__init__.py": BOOBY_TRAP, "shop/flows/__init__.py": BOOBY_TRAP}
    write({**package, "shop/flows/bad.py": BAD + BOOBY_TRAP, "bad.py": BAD})
    result = check(target)
    assert [line.partition(":")[0] for line in result.stdout.splitlines()] == [os.path.join("shop", "flows", "bad.py")]


def test_a_package_without_an_init(here: Path):
    write({"shop/flows/bad.py": BAD})
    assert check("shop.flows").stdout.startswith(os.path.join("shop", "flows", "bad.py"))


def test_several_targets_and_a_file_only_once():
    write({"shop/bad.py": BAD, "other.py": WORSE})
    assert len(check("shop", "shop/bad.py", "other").stdout.splitlines()) == 2


def test_hidden_directories_are_passed_over():
    write({".venv/bad.py": BAD, "good.py": GOOD})
    assert check(".").stderr == "1 workflow in 1 file: nothing found.\n"


def test_without_arguments_the_modules_that_the_functions_import():
    write({"flows.py": BAD, "more/bad.py": WORSE, "workflows.py": GOOD})
    assert check().exit_code == 0
    assert len(check(env={"WORLDFLOW_WORKFLOWS": "flows, more"}).stdout.splitlines()) == 2


def test_json():
    write({"bad.py": BAD})
    result = check("bad.py", "--json")
    assert result.exit_code == 1
    (finding,) = json.loads(result.stdout)["findings"]
    assert finding == {
        "path": "bad.py",
        "line": 6,
        "column": 12,
        "what": "time.time",
        "why": "it returns a different time on replay",
        "instead": "worldflow.now()",
        "function": "bad",
        "workflow": "bad",
        "is_hint": False,
    }
    write({"bad.py": GOOD})
    assert json.loads(check("bad.py", "--json").stdout) == {"findings": []}


@pytest.mark.parametrize("target", ["nowhere", "nowhere.at.all", "nowhere.py", "flows.nowhere"])
def test_what_is_not_there_is_a_wrong_command_line(target: str):
    write({"flows.py": GOOD})
    result = check(target)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no module, file or directory" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("modules", "origin"),
    [({"WORLDFLOW_WORKFLOWS": "nowhere"}, "(from WORLDFLOW_WORKFLOWS)"), ({}, "(from the default of")],
)
def test_where_a_missing_module_is_named(monkeypatch: pytest.MonkeyPatch, modules: dict[str, str], origin: str):
    monkeypatch.setattr("worldflow.cli.checking._find", lambda module: None)
    complaint = " ".join(check(env=modules).stderr.replace("│", " ").split())
    assert origin in complaint
    assert "must be on PYTHONPATH" in complaint


@pytest.mark.parametrize(
    ("text", "where"),
    [(b"x = 1\nasync def:\n", "bad.py:2:10"), (b"# coding: nonsense\n", "bad.py:1:1"), (b"\xff", "bad.py:1:1")],
)
def test_a_file_that_is_not_python_is_a_finding(text: bytes, where: str):
    Path("bad.py").write_bytes(text)
    write({"worse.py": BAD})
    result = check("bad.py", "worse.py")
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{where}: syntax error: ")
    assert "Instead" not in first
    assert second.startswith("worse.py")


def test_a_file_in_an_encoding_of_its_own():
    Path("bad.py").write_bytes(("# coding: latin-1\nx = 'é'\n" + BAD).encode("latin-1"))
    assert check("bad.py").stdout.startswith("bad.py:8:12")


def test_a_module_without_source_has_nothing_to_check():
    assert check("itertools").stderr == "0 workflows in 0 files: nothing found.\n"


def test_a_copied_module_is_found(here: Path):
    write({"flows/good.py": GOOD, "flows/good_copy.py": GOOD})
    result = check("flows", str(here / "flows"))
    first, second = (os.path.join("flows", name) for name in ("good.py", "good_copy.py"))
    why = f"{first}:3:2 defines a workflow of the same name"
    instead = "@workflow(name=...), or the same name with another version=..."
    assert result.stdout == f"{second}:3:2: workflow 'good': {why}. Instead: {instead}\n"
    assert result.exit_code == 1
