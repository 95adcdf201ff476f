"""A function whose layers were built for another Python or processor fails with one line that says so."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.lambdas import ROOT

ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
OTHER_ARCHITECTURE = "x86_64" if ARCHITECTURE == "arm64" else "arm64"
FUNCTIONS = ["orchestrator", "step_executor", "signal", "caretaker"]


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """The engine's layer, but for its other packages. Of these, the one that is compiled is for another machine."""
    source = ROOT / "layers/worldflow/worldflow"
    shutil.copytree(source, tmp_path / "worldflow", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pydantic_core").mkdir()
    core = "raise ImportError(\"No module named 'pydantic_core._pydantic_core'\")"
    (tmp_path / "pydantic_core/__init__.py").write_text(core)
    return tmp_path


def last_line(layer: Path, statement: str) -> str:
    """What Lambda would log of an import that fails."""
    path = os.pathsep.join([str(layer), *sys.path])
    command = [sys.executable, "-c", statement]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=False)
    return done.stderr.rstrip().rpartition("\n")[2]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("target", [f"python3.9-{ARCHITECTURE}", f"{PYTHON}-{OTHER_ARCHITECTURE}"])
def test_a_function_names_both_machines_and_what_to_do(layer: Path, function: str, target: str) -> None:
    (layer / "worldflow/layer_target.txt").write_text(f"{target}\n")
    statement = f"import sys; sys.path.insert(0, {str(ROOT / 'functions' / function)!r}); import app"

    assert last_line(layer, statement) == (
        f"ImportError: layer built for {target.replace('-', '/')}, running on {PYTHON}/{ARCHITECTURE}: use the same "
        "Runtime and Architecture for sam build and sam deploy (parameter_overrides under global in samconfig.toml), "
        "then build and deploy again"
    )


def test_a_handler_without_the_template_says_so_too(layer: Path) -> None:
    (layer / "worldflow/layer_target.txt").write_text("python3.9-arm64\n")

    assert "layer built for python3.9/arm64" in last_line(
        layer, "from worldflow.aws_handlers import create_step_handler"
    )


@pytest.mark.parametrize("record", [f"{PYTHON}-{ARCHITECTURE}\n", None])
def test_a_layer_for_this_machine_and_a_package_from_pip_are_imported(layer: Path, record: str | None) -> None:
    shutil.rmtree(layer / "pydantic_core")
    if record is not None:
        (layer / "worldflow/layer_target.txt").write_text(record)

    assert last_line(layer, "import worldflow") == ""
