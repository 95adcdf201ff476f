from pathlib import Path

import pytest
from botocore.config import Config
from typer.testing import CliRunner

from tests.unit.cli.conftest import Cli
from worldflow.cli import app

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
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.mark.parametrize(
    ("environment", "error"),
    [
        ({"WORLDFLOW_RUNS_TABLE": None}, "missing from the environment: WORLDFLOW_RUNS_TABLE"),
        ({}, "You must specify a region."),
        ({"AWS_REGION": "eu-west-1"}, "Unable to locate credentials"),
        ({"AWS_PROFILE": "nobody"}, "The config profile (nobody) could not be found"),
        (
            {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", **KEYS},
            'Could not connect to the endpoint URL: "http://127.0.0.1:9/"',
        ),
    ],
)
def test_about_aws(environment: dict[str, str | None], error: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("worldflow.worlds.aws_access._CONFIG", Config(retries={"max_attempts": 0}))
    result = CliRunner().invoke(app, ["status", "one"], env={**AWS, **environment})
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {error}")
    assert result.stderr.count("\n") == 1


def test_about_a_file_that_is_not_there(cli: Cli):
    assert cli.fails("list") == f"Error: there is no file {cli.file}\n"
    assert not cli.file.exists()


def test_about_a_file_that_is_something_else(cli: Cli):
    cli.file.write_text("Dear diary, " * 100)
    assert cli.fails("list") == "Error: the LocalWorld file cannot be used: file is not a database\n"


def test_about_a_place_where_no_file_can_be(tmp_path: Path):
    cli = Cli(tmp_path / "nowhere" / "runs.db")
    assert cli.fails("start", "ask") == "Error: the LocalWorld file cannot be used: unable to open database file\n"


def test_an_error_of_ours_is_no_such_line(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("worldflow.runtime.requests.start", lambda *args, **kwargs: 1 / 0)
    assert isinstance(cli.run("start", "ask").exception, ZeroDivisionError)
