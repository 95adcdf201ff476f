"""The walk through the guide by which Worldflow was first described: docs/the-original-guide.md.

The page has every row of it; what can be run is run as it stands there, on AWS as moto has it.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

import examples.aws_workflow.run as aws_example
from tests.docs.pages import PROJECT, blocks, module, own_page, run
from tests.support.aws import deployed
from tests.support.lambdas import close_step_handler
from tests.support.systems import AWSSystem, Clock, aws_system, clocked, finish
from tests.support.template import TEMPLATE
from worldflow import worlds
from worldflow.aws_setup.__main__ import app as aws_setup
from worldflow.settings import Settings

NAME = "docs/the-original-guide.md"
PAGE = (PROJECT / NAME).read_text()
SETUP, ORCHESTRATOR, STEPS, START, WORKFLOW, STATUS = range(6)

ROWS = """
FastAPI, Django or Flask | `AWSWorld` | DynamoDB: events, runs | SQS: a queue of steps | Lambda: orchestrator, steps
EventBridge: timers | `aws configure` | Python 3.11 or later | pip install "worldflow[aws]"
python -m worldflow.aws_setup setup | pip install "worldflow[aws]" -t . | aws lambda create-function
--runtime python3.11 | --timeout 300 | --memory-size 1024 | step_handler.py
npm install -g aws-cdk | infrastructure/cdk | npm install | cdk bootstrap | cdk deploy | API Gateway, IAM
ApiUrl | EventsTableName | RunsTableName | StepQueueUrl | OrchestratorFunctionName
WORLDFLOW_EVENTS_TABLE | WORLDFLOW_RUNS_TABLE | WORLDFLOW_STEP_QUEUE_URL | WORLDFLOW_ORCHESTRATOR_FUNCTION
WORLDFLOW_API_GATEWAY_URL | AWS_REGION
dynamodb:PutItem | dynamodb:GetItem | dynamodb:Query | dynamodb:Scan | dynamodb:UpdateItem | dynamodb:BatchWriteItem
sqs:SendMessage | sqs:ReceiveMessage | sqs:DeleteMessage | sqs:GetQueueAttributes
lambda:InvokeFunction | events:PutRule | events:PutTargets | events:DeleteRule | events:RemoveTargets
aws logs tail | invocations, duration and errors of Lambda | messages of SQS | capacity of DynamoDB | X-Ray
1,000, 10,000 | 100,000 workflows a day | FIFO queues | batches of writes | memory of the functions
reserved capacity | archive old events to S3
encryption at rest | KMS | VPC and its endpoints | least privilege, separate roles | `call_api`
a workflow does not start | steps do not run | timers do not fire
Module not found | Table does not exist | Access denied
aws lambda update-function-code | existing runs continue | events are JSON; new fields have defaults
ARCHITECTURE.md | examples/aws_workflow.py | scale by the concurrency of Lambda
"""
"""What the guide shows or says, in its order."""


def test_the_page_has_every_row_of_the_guide() -> None:
    rows = [row.strip() for line in ROWS.strip().splitlines() for row in line.split(" | ")]
    assert [row for row in rows if row not in " ".join(PAGE.split())] == []


# --- Option 1 -------------------------------------------------------------------------------------------------------


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with mock_aws():
        yield


@pytest.mark.usefixtures("account")
def test_the_script_and_the_command_create_what_the_guide_says() -> None:
    resources = asyncio.run(run(blocks(NAME)[SETUP]))["resources"]
    session: Any = boto3.Session(region_name="us-east-1")
    assert set(session.client("dynamodb").list_tables()["TableNames"]) == {"worldflow-events", "worldflow-runs"}
    assert resources.step_queue_url == "https://sqs.us-east-1.amazonaws.com/123456789012/worldflow-steps.fifo"
    again = CliRunner().invoke(aws_setup, ["setup"])
    assert (again.exit_code, again.stderr) == (0, "Nothing to do.\n")
    assert "export WORLDFLOW_EVENTS_TABLE=worldflow-events\n" in again.stdout


def test_the_three_variables_of_the_guide_suffice() -> None:
    url = "https://sqs.us-east-1.amazonaws.com/123456789/worldflow-steps.fifo"
    variables = {"WORLDFLOW_EVENTS_TABLE": "worldflow-events", "WORLDFLOW_RUNS_TABLE": "worldflow-runs"}
    settings = Settings.from_environment({**variables, "WORLDFLOW_STEP_QUEUE_URL": url})
    assert settings.run_queue_url == url.replace("steps", "runs")


class GuidesFunctions(AWSSystem):
    """The functions that the guide deploys, by the code on the page."""

    def __init__(self, *arguments: Any, folder: Path) -> None:
        self._folder = folder
        super().__init__(*arguments)

    def restart(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(worlds, "AWSWorld", lambda: self.world, raising=False)
            orchestrator, steps = (module(self._folder, blocks(NAME)[number]) for number in (ORCHESTRATOR, STEPS))
        self._orchestrator = self._spare = orchestrator.lambda_handler
        self._step_handler = steps.lambda_handler


@pytest.mark.usefixtures(own_page.__name__)
def test_the_workflow_of_the_guide_on_its_functions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    with deployed() as stack, clocked(clock):
        workflows = module(tmp_path, blocks(NAME)[WORKFLOW])
        system: Any = GuidesFunctions(stack, clock, folder=tmp_path)
        try:
            monkeypatch.setitem(sys.modules, "test_workflow", workflows)
            monkeypatch.setattr(worlds, "AWSWorld", lambda: system.world, raising=False)
            asyncio.run(run(blocks(NAME)[START]))
            assert finish(system, "test_001").result == "Greeted World"
            asyncio.run(run(blocks(NAME)[STATUS], world=system.world))
        finally:
            close_step_handler(system._step_handler)
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if "Hello" in line] == ["Hello, World!", "Hello, World again!"]
    assert said[2] == "Status: completed"
    assert [line.partition(":")[0] for line in said[3:]] == [
        "RunStarted",
        "StepScheduled",
        "StepCompleted",
        "TimerStarted",
        "TimerFired",
        "StepScheduled",
        "StepCompleted",
        "RunCompleted",
    ]


def test_the_example_of_the_guide(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def run_it(system: Any) -> None:
        application = asyncio.create_task(aws_example.main("hello-1"))
        while not system.world.list_runs().runs:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(finish, system, "hello-1")
        await application

    with deployed() as stack, aws_system(stack) as system:
        monkeypatch.setattr(aws_example, "AWSWorld", lambda: system.world)
        asyncio.run(run_it(system))
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["['Hello, World!', 'Hello, World, again!']", "Status: completed"]
    assert len(said[2:]) == 8


# --- the template ----------------------------------------------------------------------------------------------------


def _actions(role: str) -> set[str]:
    """What a role of the template may do. Statements that depend on a parameter are left out."""
    policies = [policy for policy in TEMPLATE["Resources"][role]["Properties"]["Policies"] if policy]
    statements = [each for policy in policies for each in policy["PolicyDocument"]["Statement"] if each]
    listed = [each["Action"] for each in statements]
    return {action for actions in listed for action in ([actions] if isinstance(actions, str) else actions)}


def test_the_table_of_permissions_is_the_templates() -> None:
    table = re.findall(r"^\| (`\w+:.*?) \| (yes|no) \| (yes|no) \|", PAGE, re.MULTILINE)
    assert len(table) == 7
    for cell, *told in table:
        for action in re.findall(r"`(.*?)`", cell):
            has = ["yes" if action in _actions(role) else "no" for role in ("OrchestratorRole", "StepExecutorRole")]
            assert has == told, action


def test_the_outputs_and_parameters_that_the_page_names_are_the_templates() -> None:
    outputs = re.findall(r"`(\w+(?:Url|Name))`", PAGE)
    assert set(outputs) <= TEMPLATE["Outputs"].keys()
    assert (PROJECT / "infrastructure/cdk/requirements.txt").exists()
    parameters = re.findall(r"`(\w+(?:Memory|Concurrency|Days|Ids|Arn))`", PAGE)
    assert set(parameters) <= TEMPLATE["Parameters"].keys()
