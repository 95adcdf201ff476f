"""What `python -m worldflow new` writes, and what becomes of it: other code, another name, another dependency."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from typer.testing import CliRunner

import worldflow
from tools.starter import build_starter
from worldflow.cli import app
from worldflow.devtools.layer_check import machine
from worldflow.engine.errors import ConfigurationError, InvalidInputError
from worldflow.project import creating, naming
from worldflow.project.manifest import EXAMPLES, SOURCES
from worldflow.project.shipped import repacked

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project, which no test changes."""
    folder = tmp_path_factory.mktemp("projects") / "my-shop"
    creating.create(folder, "my-shop")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A new project of the test's own."""
    return Path(shutil.copytree(made, tmp_path / "my-shop"))


def wheel_of(project: Path) -> Path:
    (wheel,) = (project / "layers/worldflow").glob("*.whl")
    return wheel


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {
        "HOME": os.environ["HOME"],
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(worldflow.__file__).parents[1]),
        "SAM_CLI_TELEMETRY": "0",
    }
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_a_project_has_the_repositorys_own_files(made: Path) -> None:
    written = files(made)
    del written[str(wheel_of(made).relative_to(made))]

    assert written.keys() == SOURCES.keys()
    for path, source in SOURCES.items():
        text = (ROOT / source).read_text()
        assert naming.renamed(path, text, "worldflow", "my-shop").encode() == written[path]


def test_its_name_is_everywhere(made: Path) -> None:
    assert naming.current_name(made) == "my-shop"
    assert 'stack_name = "my-shop-prod"' in (made / "samconfig.toml").read_text()
    for path in naming.PLACES:
        rest = re.sub(r"\b(python -m |include |layers/)?worldflow(\.mk|/worldflow)?\b", "", (made / path).read_text())
        assert "worldflow-dev" not in rest and "worldflow-prod" not in rest


def test_its_tools_are_pinned_as_those_of_the_repository() -> None:
    ours = set(re.findall(r"^[\w.-]+==\S+", (ROOT / "requirements-dev.txt").read_text(), re.M))
    theirs = set(re.findall(r"^[\w.-]+==\S+", (ROOT / "starter/requirements-dev.txt").read_text(), re.M))

    assert theirs <= ours and len(theirs) > 50


@pytest.mark.parametrize("name", ["", "1st", "my_shop", "my shop", "shop-", "é", "a" * 101, "{{ x }}"])
def test_a_name_is_one_that_a_stack_can_have(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot be the name of a stack"):
        creating.create(tmp_path / "project", name)
    assert not (tmp_path / "project").exists()


def test_a_folder_may_have_another_name(tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["new", str(tmp_path / "my_shop")])

    assert made.exit_code == 1
    assert "'my_shop' cannot be the name of a stack: give the application one with --name" in made.output


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()

    made = CliRunner().invoke(app, ["new", str(tmp_path), "--name", "my-shop"])

    assert made.exit_code == 1
    assert "already exists and is not an empty folder" in made.output
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    with pytest.raises(ConfigurationError, match="not an empty folder"):
        creating.create(tmp_path / "mine", "my-shop")


def test_a_path_with_spaces_is_refused(project: Path, tmp_path: Path) -> None:
    """By `new`, and by `make` in a project that has got there in another way."""
    spaced = tmp_path / "my shop"

    with pytest.raises(ConfigurationError, match="make needs a path without spaces"):
        creating.create(spaced, "my-shop")
    assert not spaced.exists()
    assert "make needs a path without spaces" in run(project.rename(spaced), "make", "help").stderr


def test_a_project_that_cannot_be_made_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creating, "engine_wheel", lambda _: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        creating.create(tmp_path / "my-shop", "my-shop")
    assert not (tmp_path / "my-shop").exists()


def test_the_deployment_of_a_workflow_on_github_asks_nobody(project: Path) -> None:
    (command,) = re.findall(r"run: (make deploy.*)", (project / ".github/workflows/deploy.yml").read_text())

    by_workflow, by_hand = (run(project, *line.split(), "-n").stdout for line in (command, "make deploy CONFIG=prod"))

    assert "sam deploy --config-env prod --no-confirm-changeset\n" in by_workflow
    assert "--no-confirm-changeset" not in by_hand


def test_ci_passes_when_the_example_is_deleted(project: Path) -> None:
    commands = re.findall(r"run: make (.*)", (project / ".github/workflows/ci.yml").read_text())

    assert commands
    assert "demo" not in " ".join(commands).split()


def test_an_installed_package_becomes_the_wheel_that_it_was(made: Path, tmp_path: Path) -> None:
    with ZipFile(wheel_of(made)) as wheel:
        wheel.extractall(tmp_path / "site-packages")
        names = sorted(wheel.namelist())
    (information,) = (tmp_path / "site-packages").glob("*.dist-info")
    (information / "INSTALLER").write_text("uv")
    record = information / "RECORD"
    record.write_text(f"{record.read_text()}../../bin/worldflow,,\n{information.name}/INSTALLER,,\n")

    with ZipFile(repacked(metadata.Distribution.at(information), tmp_path)) as again:
        assert sorted(again.namelist()) == names
        assert set(again.read(record.relative_to(tmp_path / "site-packages").as_posix()).decode().split("\n")) == (
            set(ZipFile(wheel_of(made)).read(f"{information.name}/RECORD").decode().split("\n"))
        )


def test_sam_init_makes_the_same_project(made: Path, tmp_path: Path) -> None:
    archive = build_starter(wheel_of(made), tmp_path)

    done = run(tmp_path, "sam", "init", "--location", str(archive), "--name", "my-shop", "--no-input")

    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "my-shop") == files(made)


def test_the_engines_layer_is_built_from_the_wheel(project: Path, tmp_path: Path) -> None:
    (project / "layers/worldflow/requirements.txt").write_text("")

    built = build(project, "EngineLayer", tmp_path / "built")

    assert built.returncode == 0, built.stderr
    engine = tmp_path / "built/python/worldflow"
    assert (engine / "serving/api").is_dir() and (engine / "layer_target.txt").read_text() == f"{machine()}\n"
    assert not {"console", "devtools", "mcp", "project"} & {path.name for path in engine.iterdir()}


def build(project: Path, layer: str, folder: Path) -> subprocess.CompletedProcess[str]:
    makefile = str(project / "layers/targets" / machine() / "Makefile")
    content = project / "layers" / {"EngineLayer": "worldflow", "WorkflowsLayer": "workflows"}[layer]
    return run(content, "make", "-f", makefile, f"build-{layer}", f"ARTIFACTS_DIR={folder}", "tidy=")


def test_the_users_own_life(project: Path, tmp_path: Path) -> None:
    """Without the examples, with another name, policy, module and dependency, all that came with it still passes."""
    for example in (
        "layers/workflows/workflows/order.py",
        "layers/workflows/workflows/hello.py",
        "tests/test_order.py",
    ):
        (project / example).unlink()
    config = project / "samconfig.toml"
    config.write_text(config.read_text().replace('"LogRetentionDays=7"', f'"LogRetentionDays=7", "{POLICY}"'))
    renamed = run(project, sys.executable, "-m", "worldflow", "rename", "book-club")
    (project / "layers/workflows/requirements.txt").write_text(f"{package(tmp_path)}\n")
    (project / "layers/workflows/workflows/prices.py").write_text(PRICES)
    (project / "layers/workflows/workflows/books.py").write_text(BOOKS)

    built = build(project, "WorkflowsLayer", tmp_path / "built")
    path = f"{Path(worldflow.__file__).parents[1]}:{tmp_path / 'built/python'}"
    tested = run(project, "env", f"PYTHONPATH={path}", sys.executable, "-m", "pytest", "-q")
    (project / ".local-aws").mkdir()
    (project / ".local-aws/built.py").write_text("import  os\n")
    checked = run(project, sys.executable, "-m", "ruff", "check", ".")
    formatted = run(project, sys.executable, "-m", "ruff", "format", "--check", ".")

    assert "Renamed my-shop to book-club in Makefile, README.md, pyproject.toml, samconfig.toml." in renamed.stdout
    assert POLICY in config.read_text() and POLICY.partition("=")[0] in (project / "template.yaml").read_text()
    assert not [path for path in naming.PLACES if "my-shop" in (project / path).read_text()]
    assert built.returncode == 0, built.stderr
    assert tested.returncode == 0 and "2 passed" in tested.stdout, tested.stdout
    assert checked.returncode == formatted.returncode == 0, checked.stdout + formatted.stdout


POLICY = "StepPolicies=arn:aws:iam::123456789012:policy/books"
PRICES = "import bookshop\n\nPRICE: str = bookshop.PRICE\n"
BOOKS = """from workflows.prices import PRICE
from worldflow import step, workflow


@step
async def price_of_a_book() -> str:
    return PRICE


@workflow
async def buy_a_book() -> str:
    return await price_of_a_book()
"""


def package(folder: Path) -> Path:
    """A wheel with the module `bookshop`."""
    wheel = folder / "bookshop-1-py3-none-any.whl"
    with ZipFile(wheel, "w") as archive:
        archive.writestr("bookshop.py", "PRICE = '9.50'\n")
        archive.writestr("bookshop-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: bookshop\nVersion: 1\n")
        archive.writestr(
            "bookshop-1.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("bookshop-1.dist-info/RECORD", "bookshop.py,,\n")
    return wheel


def test_dependencies_of_workflows_are_installed_in_venv_too() -> None:
    planned = run(ROOT, "make", "--dry-run", "--always-make", ".venv/ready", "PYTHON=python3").stdout

    assert "--requirement layers/workflows/requirements.txt --constraint layers/worldflow/requirements.txt" in planned


def test_examples_are_the_users() -> None:
    assert "layers/workflows/workflows/order.py" in EXAMPLES and "layers/workflows/requirements.txt" in EXAMPLES
    assert "template.yaml" not in EXAMPLES
