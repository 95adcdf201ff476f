"""`check --local FILE`, and in the same way `--against STACK`: which runs the code of this checkout would block."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.support import clock
from tests.unit.cli.conftest import Cli
from worldflow.cli import app
from worldflow.engine.workflow.definitions import forget
from worldflow.engine.workflow.registry import import_failures
from worldflow.runtime import starting
from worldflow.worlds import LocalWorld

BEFORE = """
from worldflow import step, wait_for_signal, workflow

@step
async def checked_reserve(sku: str) -> str:
    return sku

@workflow
async def checked_parcel(sku: str) -> str:
    await checked_reserve(sku)
    return await wait_for_signal("go", str)

@workflow
async def checked_letter() -> None:
    await checked_reserve("stamp")
    await wait_for_signal("go")

@workflow
async def checked_note() -> None:
    await checked_reserve("paper")
"""


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    undeploy()


def undeploy() -> None:
    for name in [name for name in sys.modules if name.startswith("checked_shop")]:
        del sys.modules[name]
        forget(name)
    import_failures.clear()


def deploy(text: str, name: str) -> str:
    """The only code that there is from here on."""
    undeploy()
    Path(f"{name}.py").write_text(text)
    return name


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two parcels and a letter that wait, and a note that is over, begun by the code of before."""
    folder = tmp_path_factory.mktemp("filled")
    made = Cli(folder / "runs.db")
    clock.restart(clock.START - timedelta(minutes=30))
    (folder / "checked_shop_0.py").write_text(BEFORE)
    sys.path.insert(0, str(folder))
    import_module("checked_shop_0")
    with closing(LocalWorld(made.file)) as world:
        for run_id in ("parcel-1", "parcel-2"):
            starting.start(world, run_id, "checked_parcel", {"sku": "lamp"})
        starting.start(world, "letter-1", "checked_letter")
        starting.start(world, "note-1", "checked_note")
    made.settle()
    sys.path.remove(str(folder))
    undeploy()
    return made.file


@pytest.fixture
def shop(filled: Path, cli: Cli) -> Cli:
    shutil.copy(filled, cli.file)
    return cli


def check(cli: Cli, module: str, *options: str, **env: str) -> Result:
    return CliRunner().invoke(
        app, ["check", module, "--local", str(cli.file), *options], env={"GITHUB_ACTIONS": "", **env}
    )


OTHER_STEP = BEFORE.replace(
    "async def checked_parcel(sku: str) -> str:\n    await",
    "async def checked_parcel(sku: str) -> str:\n    await checked_weigh(sku)\n    await",
).replace("@workflow", "@step\nasync def checked_weigh(sku: str) -> None: ...\n\n@workflow", 1)


def test_code_that_can_continue_all_runs_passes(shop: Cli) -> None:
    result = check(shop, deploy(BEFORE.replace("return sku", "return sku.upper()"), "checked_shop_1"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == (f"Replayed 3 open runs and 1 ended run of {shop.file}: no open run would be blocked.\n")


def test_runs_that_would_be_blocked_are_told_by_their_cause(shop: Cli) -> None:
    result = check(shop, deploy(OTHER_STEP, "checked_shop_2"))
    assert result.exit_code == 1
    line, runs = result.stdout.splitlines()
    place = OTHER_STEP.splitlines().index("    await checked_weigh(sku)") + 1
    assert line.startswith(
        f"checked_shop_2.py:{place}: 2 open runs of checked_parcel would be blocked: the history has "
        "StepScheduled s1 checked_reserve, but the workflow's code now asks for StepScheduled s1 checked_weigh"
    )
    assert runs == "    parcel-2 at event 2, parcel-1 at event 2"
    assert result.stderr.endswith("2 open runs would be blocked.\n")


def test_annotations_for_github(shop: Cli) -> None:
    result = check(shop, deploy(OTHER_STEP, "checked_shop_3"), GITHUB_ACTIONS="true")
    assert result.stdout.startswith("::error file=checked_shop_3.py,line=")
    assert ",title=worldflow check::2 open runs of checked_parcel would be blocked: the history has" in result.stdout
    assert result.stdout.rstrip().endswith("Runs: parcel-2 at event 2, parcel-1 at event 2")


def test_a_workflow_that_is_gone_and_ended_runs_that_only_warn(shop: Cli) -> None:
    gone = BEFORE.replace("async def checked_letter", "async def checked_card").replace(
        '"paper"', '"paper")\n    await checked_reserve("pen"'
    )
    module = deploy(gone, "checked_shop_4")
    told = json.loads(check(shop, module, "--json").stdout)
    letter, note = told["causes"]
    assert (letter["breaks"], letter["runs"][0]["run_id"]) == (True, "letter-1")
    assert "there is no workflow 'checked_letter'" in letter["runs"][0]["problem"]
    assert (note["breaks"], note["runs"][0]["status"]) == (False, "completed")
    result = check(shop, module, "--workflow", "checked_note")
    assert result.exit_code == 0
    assert ": 1 ended run of checked_note cannot be replayed: the history has RunCompleted" in result.stdout


def test_other_arguments_are_a_hint(shop: Cli) -> None:
    result = check(shop, deploy(BEFORE.replace('"stamp"', '"seal"'), "checked_shop_5"))
    assert result.exit_code == 0
    assert (
        "hint: 1 open run of checked_letter would continue with what is recorded, but now: event 2: step"
        in result.stdout
    )
    assert "with a different sku than in the history" in result.stdout


def test_a_sample_and_a_time(shop: Cli) -> None:
    module = deploy(OTHER_STEP, "checked_shop_6")
    result = check(shop, module, "--sample", "1", "--since", "0s")
    assert "1 open run of checked_parcel would be blocked" in result.stdout and "parcel-1" not in result.stdout
    assert "Replayed 2 open runs of" in result.stderr


def test_a_blocked_run_that_would_continue_is_told(shop: Cli) -> None:
    deploy(OTHER_STEP, "checked_shop_7")
    import_module("checked_shop_7")
    shop("signal", "parcel-1", "go", "--value", '"now"')
    shop.settle()
    assert shop.json("status", "parcel-1")["status"] == "blocked"
    result = check(shop, deploy(BEFORE, "checked_shop_8"))
    assert result.exit_code == 0 and result.stderr.endswith(
        "no open run would be blocked. 1 blocked run would continue.\n"
    )


def test_a_module_that_cannot_be_imported(shop: Cli) -> None:
    result = check(shop, deploy("import not_there_at_all", "checked_shop_9"))
    assert result.exit_code == 1
    assert "module checked_shop_9 cannot be imported: ModuleNotFoundError" in result.stdout


def test_nothing_is_written(shop: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the environment is only read")

    writing = ["append", "create_run", "update_run", "send", "put_item", "update_item", "put_payload", "copy_payload"]
    for name in [*writing, "cancel_delayed", "arm_schedule", "disarm_schedule"]:
        monkeypatch.setattr(LocalWorld, name, refuse)
    before = shop.file.read_bytes()
    assert check(shop, deploy(OTHER_STEP, "checked_shop_10")).stderr.endswith("2 open runs would be blocked.\n")
    assert shop.file.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--since", "1d"], "needs --against or --local"),
        (["--local", "runs.db", "--against", "prod"], "give --against or --local"),
        (["--local", "runs.db", "--since", "monday"], "is not a duration"),
        (["layers/workflows", "--local", "runs.db"], "is a path: name modules to import"),
    ],
)
def test_a_wrong_command_line(arguments: list[str], problem: str) -> None:
    LocalWorld("runs.db").close()
    result = CliRunner().invoke(app, ["check", *arguments])
    assert result.exit_code == 2
    assert problem in " ".join(result.stderr.replace("│", " ").split())
