"""What the functions run on and what the layers are built for are said once, for `sam build` and for `sam deploy`."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from samcli.lib.config.samconfig import SamConfig

from tests.infrastructure.stack import ROOT, TEMPLATE

CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
ENVIRONMENTS = [name for name in CONFIG if name != "version"]


def read_by_sam(command: str, environment: str, folder: Path = ROOT) -> dict[str, str]:
    """The template's parameters, as a command of SAM reads them."""
    found = SamConfig(folder).get_all([command], "parameters", env=environment)
    return dict(override.split("=", 1) for override in found.get("parameter_overrides", []))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_both_read_the_same_parameters(environment: str) -> None:
    build, deploy = read_by_sam("build", environment), read_by_sam("deploy", environment)

    assert build == deploy
    assert build.keys() <= TEMPLATE["Parameters"].keys()
    for name in ("Runtime", "Architecture"):
        assert build[name] in TEMPLATE["Parameters"][name]["AllowedValues"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_is_deployed_runs_on_the_templates_default(environment: str) -> None:
    """Which is chosen for how long it is supported: the file must not bring back an older one."""
    assert read_by_sam("deploy", environment)["Runtime"] == TEMPLATE["Parameters"]["Runtime"]["Default"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_section_of_one_command_has_parameters_of_the_template(environment: str) -> None:
    commands = {command: settings["parameters"] for command, settings in CONFIG[environment].items()}

    assert [command for command, settings in commands.items() if "parameter_overrides" in settings] == ["global"]


def test_sam_builds_a_layer_for_what_is_deployed(tmp_path: Path) -> None:
    """With another machine wherever the file has parameters. No package is fetched: the layer's own files do."""
    shutil.copy(ROOT / "template.yaml", tmp_path)
    shutil.copytree(ROOT / "functions", tmp_path / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "layers", tmp_path / "layers", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (tmp_path / "layers/worldflow/requirements.txt").write_text("")
    other = {"Runtime": "python3.14", "Architecture": "x86_64"}
    config = SamConfig(tmp_path)
    for command, settings in CONFIG["default"].items():
        for name, value in settings["parameters"].items():
            if name == "parameter_overrides":
                said = {**dict(override.split("=", 1) for override in value), **other}
                value = [f"{parameter}={its}" for parameter, its in said.items()]
            config.put([command], "parameters", name, value)
    config.flush()

    sam(tmp_path, "build", "EngineLayer")

    record = tmp_path / ".aws-sam/build/EngineLayer/python/worldflow/layer_target.txt"
    deployed = read_by_sam("deploy", "default", tmp_path)
    assert record.read_text() == f"{deployed['Runtime']}-{deployed['Architecture']}\n" == "python3.14-x86_64\n"


def sam(folder: Path, *arguments: str) -> Any:
    command = [str(Path(sys.executable).with_name("sam")), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_is_deployed_says_in_tags_what_it_is_and_of_which_stage(environment: str) -> None:
    deploy = CONFIG[environment]["deploy"]["parameters"]

    stage = read_by_sam("deploy", environment)["Stage"]
    assert deploy["tags"] == ["application=worldflow", f"stage={stage}"]
