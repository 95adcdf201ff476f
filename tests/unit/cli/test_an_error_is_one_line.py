import subprocess
import sys
from pathlib import Path

import pytest
from botocore.config import Config
from typer.testing import CliRunner

from tests.unit.cli.conftest import Cli
from worldflow import ConfigurationError
from worldflow.cli import app
from worldflow.worlds import AWSWorld

AWS = {
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_PROFILE": None,
    "AWS_REGION": None,
    "AWS_DEFAULT_REGION": None,
    "AWS_ACCESS_KEY_ID": None,
    "AWS_SECRET_ACCESS_KEY": None,
    "AWS_ENDPOINT_URL": None,
    "WORLDFLOW_EVENTS_TABLE": "events",
    "WORLDFLOW_RUNS_TABLE": "runs",
    "WORLDFLOW_STEP_QUEUE_URL": "https://sqs/steps.fifo",
}
PATHS = {"PYTHONPATH": ":".join(sys.path)}
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.mark.parametrize(
    ("environment", "error"),
    [
        ({"WORLDFLOW_RUNS_TABLE": None}, "missing from the environment: WORLDFLOW_RUNS_TABLE"),
        (
            {"WORLDFLOW_RUNS_TABLE": None, "WORLDFLOW_EVENTS_TABLE": None},
            "name a deployed stack with --stack NAME, or a LocalWorld file with --local FILE (missing from the env",
        ),
        ({}, "no AWS region is set: set AWS_REGION"),
        ({"WORLDFLOW_STACK": "prod"}, "no AWS region is set: set AWS_REGION"),
        ({"AWS_REGION": "eu-west-1"}, "there are no AWS credentials: log in with `aws sso login`"),
        ({"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "key"}, "there are no AWS credentials: "),
        ({"AWS_PROFILE": "nobody"}, "The config profile (nobody) could not be found"),
        (
            {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", **KEYS},
            'Could not connect to the endpoint URL: "http://127.0.0.1:9/"',
        ),
    ],
)
def test_about_aws(environment: dict[str, str | None], error: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("worldflow.worlds.aws.access._CONFIG", Config(retries={"max_attempts": 0}))
    result = CliRunner().invoke(app, ["status", "one"], env={**AWS, **environment})
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {error}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (["status", "one"], 'AWS needs boto3: pip install "worldflow[aws]"'),
        (["list", "--stack", "prod"], 'AWS needs boto3: pip install "worldflow[aws]"'),
    ],
)
def test_about_a_package_that_is_not_installed(command: list[str], error: str, tmp_path: Path):
    result = run_without_boto3("worldflow", *command)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {error}")
    assert result.stderr.count("\n") == 1


def test_about_a_package_that_the_cost_of_a_run_takes(cli: Cli):
    cli("start", "ask", "--run-id", "one")
    result = run_without_boto3("worldflow", "cost", "one", "--local", str(cli.file))
    assert result.returncode == 1
    assert result.stderr == 'Error: `cost` requires boto3: pip install "worldflow[aws]"\n'


def test_about_a_package_that_the_setup_takes():
    result = run_without_boto3("worldflow.aws_setup", "status")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        'ModuleNotFoundError: worldflow.aws_setup needs boto3: pip install "worldflow[aws]"'
    )


def test_an_application_without_boto3_hears_which_extra_it_lacks():
    code = "import sys; sys.modules['boto3'] = None; from worldflow.worlds import AWSWorld"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=PATHS, check=False)
    assert result.stderr.splitlines()[-1] == 'ModuleNotFoundError: AWSWorld needs boto3: pip install "worldflow[aws]"'


def test_an_application_without_a_region_hears_of_it_in_an_error_of_ours(monkeypatch: pytest.MonkeyPatch):
    for name, value in AWS.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="no AWS region is set"):
        AWSWorld().get_run("one")


def run_without_boto3(module: str, *args: str) -> subprocess.CompletedProcess[str]:
    """`python -m module` where boto3 is not installed."""
    code = (
        "import runpy, sys; from importlib.abc import MetaPathFinder\n"
        "class Without(MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name.partition('.')[0] in ('boto3', 'botocore'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Without())\n"
        f"sys.argv[1:] = {args!r}\n"
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=PATHS, check=False)


def test_about_a_file_that_is_not_there(cli: Cli):
    assert cli.fails("list") == f"Error: there is no file {cli.file}\n"
    assert not cli.file.exists()


def test_about_a_file_that_is_something_else(cli: Cli):
    cli.file.write_text("Dear diary, " * 100)
    assert cli.fails("list") == f"Error: the LocalWorld file {cli.file} cannot be used: file is not a database\n"


def test_about_a_place_where_no_file_can_be(tmp_path: Path):
    cli = Cli(tmp_path / "nowhere" / "runs.db")
    problem = f"the LocalWorld file {cli.file} cannot be used: unable to open database file"
    assert cli.fails("start", "ask") == f"Error: {problem}\n"


@pytest.mark.parametrize(("options", "whose"), [((), "a stack"), (("--stack", "prod"), "stack 'prod'")])
def test_about_a_worker_where_functions_do_its_work(options: tuple[str, ...], whose: str):
    result = CliRunner().invoke(app, ["worker", *options])
    assert result.exit_code == 1
    problem = (
        f"the functions of {whose} serve its runs; a worker only serves a LocalWorld file: name one with --local FILE"
    )
    assert result.stderr == f"Error: {problem}\n"


def test_an_error_of_ours_is_no_such_line(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("worldflow.runtime.starting.start", lambda *args, **kwargs: 1 / 0)
    assert isinstance(cli.run("start", "ask").exception, ZeroDivisionError)
