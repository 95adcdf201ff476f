"""`--stack NAME` stands for the variables that are a stack's outputs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from typer.testing import CliRunner

from worldflow.aws_setup import setup_worldflow_infrastructure
from worldflow.cli import app
from worldflow.settings import Settings
from worldflow.stacks import OUTPUTS, read_environment

REGION = "eu-west-1"
OPTIONS = {"WORLDFLOW_LOCAL", "WORLDFLOW_STACK", "WORLDFLOW_WORKFLOWS"}


class CloudFormation:
    """Its stacks, by their names, as it describes them. (Moto's takes packages that nothing else here needs.)"""

    def __init__(self) -> None:
        self.stacks: dict[str, dict[str, str]] = {}
        self.parameters: dict[str, str] = {}
        """Of all of them."""

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        if StackName not in self.stacks:
            error = {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}
            raise ClientError({"Error": error}, "DescribeStacks")
        outputs = [{"OutputKey": name, "OutputValue": value} for name, value in self.stacks[StackName].items()]
        given = [{"ParameterKey": name, "ParameterValue": value} for name, value in self.parameters.items()]
        stack = {"StackName": StackName, "StackStatus": "CREATE_COMPLETE", "Outputs": outputs, "Parameters": given}
        return {"Stacks": [stack]}


cloudformation = CloudFormation()


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def client(session: boto3.Session, service: str, **options: Any) -> Any:
        return cloudformation if service == "cloudformation" else real_client(session, service, **options)

    real_client: Any = boto3.Session.client
    monkeypatch.setattr(boto3.Session, "client", client)
    cloudformation.stacks.clear()
    cloudformation.parameters.clear()
    with mock_aws():
        for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_DEFAULT_REGION", *OPTIONS, *OUTPUTS):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_REGION", REGION)
        yield


@pytest.fixture
def prod() -> None:
    """A stack of that name, with its resources."""
    create_stack("prod", setup_worldflow_infrastructure().environment())


def create_stack(name: str, variables: dict[str, str]) -> None:
    """A stack with the outputs that the template has."""
    cloudformation.stacks[name] = {output: variables.get(variable, variable) for variable, output in OUTPUTS.items()}


def run(*args: str) -> Any:
    return CliRunner().invoke(app, list(args))


def said(result: Any) -> str:
    """What was said of a wrong command line, without the box around it."""
    return " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.usefixtures("prod")
@pytest.mark.parametrize("environment", [{}, {"WORLDFLOW_RUNS_TABLE": "another"}])
def test_a_run_is_started_and_shown(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run("start", "greet", "--run-id", "one", "--stack", "prod").stdout == "one\n"
    assert json.loads(run("status", "one", "--stack", "prod", "--json").stdout)["status"] == "pending"


@pytest.mark.usefixtures("prod")
def test_the_step_queues_of_a_stack_are_those_of_its_parameter() -> None:
    assert "WORLDFLOW_STEP_QUEUES" not in read_environment("prod")
    cloudformation.parameters.update(StepQueues="heavy,gpu")
    settings = Settings.from_environment(read_environment("prod"))
    assert settings.step_queues == ("heavy", "gpu")
    assert settings.url_of_step_queue("gpu").endswith("/prod-steps-gpu.fifo")


@pytest.mark.usefixtures("prod")
def test_the_environment_may_name_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLDFLOW_STACK", "prod")
    assert run("list").stderr == "No runs.\n"


@pytest.mark.usefixtures("prod")
@pytest.mark.parametrize(("given", "step_batch"), [([], 5), (["--step-batch", "2"], 2)])
def test_a_bill_is_that_of_the_stacks_parameters(given: list[str], step_batch: int):
    cloudformation.parameters.update(StepBatchSize="5", Tracing="XRay", EventBusName="orders")
    assert run("start", "greet", "--run-id", "one", "--stack", "prod").exit_code == 0

    told = json.loads(run("cost", "one", "--stack", "prod", "--json", *given).stdout)
    assert [bill["step_batch"] for bill in told["batches"].values()] == [1, step_batch]
    assert (told["traced"], told["event_bus"]) == (True, True)


COMMANDS = [
    ["start", "greet"],
    ["status", "one"],
    ["events", "one"],
    ["list"],
    ["query", "one", "name"],
    ["cost", "one"],
    ["signal", "one", "name"],
    ["update", "one", "name"],
    ["hook", "token"],
    ["cancel", "one"],
    ["terminate", "one"],
    ["wake", "one"],
    ["pause", "one"],
    ["unpause", "one"],
    ["resume", "one"],
    ["redrive"],
    ["retry", "one"],
    ["fork", "one", "two", "--after", "1"],
    ["schedule", "create", "daily", "greet", "rate(1 day)"],
    ["schedule", "list"],
    ["schedule", "pause", "daily"],
    ["schedule", "resume", "daily"],
    ["schedule", "delete", "daily"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_takes_it_and_says_that_there_is_no_such_stack(command: list[str]):
    result = run(*command, "--stack", "nowhere")
    expected = "Error: there is no stack 'nowhere' in eu-west-1; set AWS_REGION and AWS_PROFILE to those of the stack\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", expected)


def test_a_stack_of_something_else():
    cloudformation.stacks["other"] = {"TopicArn": "arn:aws:sns:eu-west-1:123456789012:topic"}
    result = run("list", "--stack", "other")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: stack 'other' (CREATE_COMPLETE) has no output EventsTableName: it was not deployed from "
        "Worldflow's template, or its deployment is not finished\n"
    )


def test_a_table_that_is_gone_is_named():
    create_stack("stale", {"WORLDFLOW_RUNS_TABLE": "gone"})
    result = run("status", "one", "--stack", "stale")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: AWS refused GetItem with ResourceNotFoundException: Requested resource not found; WORLDFLOW_RUNS_TABLE "
        "is gone, WORLDFLOW_EVENTS_TABLE is WORLDFLOW_EVENTS_TABLE, in eu-west-1\n"
    )


@pytest.mark.parametrize("first", ["--local", "--stack"])
def test_a_file_and_a_stack_are_not_given_together(first: str, tmp_path: Path):
    options = ["--local", str(tmp_path / "runs.db"), "--stack", "prod"]
    result = run("list", *(options if first == "--local" else options[2:] + options[:2]))
    assert result.exit_code == 2
    assert "both a LocalWorld file and a stack are set: choose one" in said(result)


@pytest.mark.usefixtures("prod")
def test_what_is_typed_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLDFLOW_LOCAL", str(tmp_path / "runs.db"))
    assert run("list", "--stack", "prod").stderr == "No runs.\n"
    monkeypatch.setenv("WORLDFLOW_STACK", "nowhere")
    assert run("start", "greet", "--local", str(tmp_path / "other.db"), "--run-id", "one").stdout == "one\n"
    assert run("list", "--stack", "prod").stderr == "No runs.\n"


def test_two_in_the_environment_are_not_guessed_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLDFLOW_LOCAL", str(tmp_path / "runs.db"))
    monkeypatch.setenv("WORLDFLOW_STACK", "prod")
    result = run("list")
    assert result.exit_code == 2
    assert "WORLDFLOW_LOCAL, WORLDFLOW_STACK" in said(result)
