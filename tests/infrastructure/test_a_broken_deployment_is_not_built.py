"""`sam build`, and so `make deploy`, stops at workflows that would break once deployed, with the file and line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import worldflow
from tests.infrastructure.stack import ROOT
from worldflow.devtools.layer_check import machine
from worldflow.devtools.stack import parameters_of_this_machine
from worldflow.project import creating

OTHER_MACHINE = "python3.14-x86_64" if machine().endswith("arm64") else "python3.14-arm64"

PYTHON = Path(sys.executable).parent

SYNTAX = "async def pay(:\n    pass\n"
CLOCK = "import time\nfrom worldflow import workflow\n@workflow\nasync def broken() -> float:\n    return time.time()\n"
KEY = "RATES = {}\n\nEURO = RATES['EUR']\n"
OPTIONAL = """from importlib import metadata, util

assert util.find_spec("pytest") is None
assert util.find_spec("pydantic") is not None
assert metadata.version("pydantic")
try:
    import pytest
except ImportError:
    pytest = None
"""
DEPENDENCY = "import os\nimport pytest\n"


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    """A copy of what builds the layer of workflows."""
    layers = tmp_path / "layers"
    for name in ("targets", "workflows"):
        shutil.copytree(ROOT / "layers" / name, layers / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "layers/Makefile", layers)
    (layers / "worldflow").mkdir()
    shutil.copy(ROOT / "layers/worldflow/requirements.txt", layers / "worldflow")
    return layers


def build(layers: Path, *options: str, target: str = "", path: Path = PYTHON) -> subprocess.CompletedProcess[str]:
    """The layer of workflows, built as SAM builds it, but without fetching packages.

    path: where python3 is.
    """
    makefile = layers / "targets" / (target or machine()) / "Makefile"
    command = ["make", "-f", str(makefile), "build-WorkflowsLayer", f"ARTIFACTS_DIR={layers / 'built'}"]
    return run(layers / "workflows", *command, "PIP_INSTALL=true", "tidy=", *options, path=path)


def run(folder: Path, *command: str, path: Path = PYTHON) -> subprocess.CompletedProcess[str]:
    env = {
        "HOME": os.environ["HOME"],
        "PATH": f"{path}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(worldflow.__file__).parents[1]),
        "SAM_CLI_TELEMETRY": "0",
    }
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60)


def write(layers: Path, **modules: str) -> None:
    for name, source in modules.items():
        (layers / "workflows/workflows" / f"{name}.py").write_text(source)


def test_code_that_is_no_python_or_cannot_be_replayed(layers: Path) -> None:
    write(layers, pay=SYNTAX, clock=CLOCK)

    built = build(layers)

    assert built.returncode != 0
    assert "layers/workflows/workflows/pay.py:1:15: syntax error: invalid syntax" in built.stderr
    assert "layers/workflows/workflows/clock.py:5:12: time.time in broken" in built.stderr
    assert "CHECK_WORKFLOWS=no" in built.stderr
    assert build(layers, "CHECK_WORKFLOWS=no").returncode == 0


def test_modules_that_functions_cannot_import(layers: Path) -> None:
    """By `sam build` itself."""
    write(layers, rates=KEY, checks=DEPENDENCY)
    project = layers.parent
    shutil.copy(ROOT / "template.yaml", project)
    (layers / "workflows/requirements.txt").write_text("")

    built = run(project, "sam", "build", "WorkflowsLayer", "--parameter-overrides", *parameters_of_this_machine())

    assert built.returncode != 0
    assert "layers/workflows/workflows/rates.py:3: KeyError: 'EUR'" in built.stderr
    assert (
        "layers/workflows/workflows/checks.py:2: ModuleNotFoundError: No module named 'pytest': "
        "the functions do not have it; add its distribution to layers/workflows/requirements.txt"
    ) in built.stderr


def test_a_module_that_others_import_is_named_once(layers: Path) -> None:
    write(layers, rates=KEY, prices="from workflows import rates\n", taxes="from workflows import rates\n")

    built = build(layers)

    assert built.stderr.count("layers/workflows/workflows/rates.py:3: KeyError: 'EUR'") == 1


def test_dependencies_come_from_the_layer(layers: Path) -> None:
    write(layers, rates="import only_in_the_layer\n")
    content = layers / "built/python"
    content.mkdir(parents=True)
    (content / "only_in_the_layer.py").touch()

    assert build(layers).returncode == 0


def test_a_module_beside_the_workflows_is_in_the_layer(layers: Path) -> None:
    write(layers, rates="import shop_prices\n")
    (layers / "workflows/shop_prices").mkdir()
    (layers / "workflows/shop_prices/__init__.py").write_text("from shop_prices.euro import PRICE\n")
    (layers / "workflows/shop_prices/euro.py").write_text("PRICE = '9.50'\n")

    assert build(layers).returncode == 0
    assert (layers / "built/python/shop_prices/euro.py").exists()
    assert not (layers / "built/python/requirements.txt").exists()


def test_a_module_may_ask_for_what_functions_do_not_have(layers: Path) -> None:
    """As libraries do for what is optional; and for the version of what they do have."""
    write(layers, rates=OPTIONAL)

    built = build(layers)

    assert built.returncode == 0, built.stderr


def test_a_dependency_built_for_another_machine_is_named_as_not_checked(layers: Path) -> None:
    write(layers, rates="import only_in_the_layer\n")
    content = layers / "built/python"
    content.mkdir(parents=True)
    (content / "only_in_the_layer.cpython-314-aarch64-linux-gnu.so").touch()

    built = build(layers, target=OTHER_MACHINE)

    assert built.returncode == 0, built.stderr
    assert (
        f"Not checked: workflows.rates: No module named 'only_in_the_layer'. The layer has it for {OTHER_MACHINE}"
        in (built.stderr)
    )


def test_a_python_without_worldflow_checks_the_syntax(layers: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bin/python3"
    bare.parent.mkdir()
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    write(layers, broken=SYNTAX)

    built = build(layers, path=bare.parent)
    write(layers, broken=DEPENDENCY)
    rebuilt = build(layers, path=bare.parent)

    assert built.returncode != 0
    assert "broken.py" in built.stdout + built.stderr and "SyntaxError" in built.stdout + built.stderr
    assert rebuilt.returncode == 0
    assert "Activate .venv" in rebuilt.stderr


def test_make_deploy_stops_at_types_that_do_not_fit(tmp_path: Path) -> None:
    project = tmp_path / "my-shop"
    creating.create(project, "my-shop")
    (project / "layers/workflows/workflows/totals.py").write_text("def total() -> int:\n    return 'many'\n")
    (project / ".venv").mkdir()
    (project / ".venv/ready").touch()

    done = subprocess.run(
        ["make", "--old-file", ".venv/ready", "deploy", "SAM=false", f"PYTHON={sys.executable}"],
        cwd=project,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 2
    assert "layers/workflows/workflows/totals.py:2: error: Incompatible return value type" in done.stdout
    assert "CHECK_WORKFLOWS=no deploys them all the same" in done.stderr
