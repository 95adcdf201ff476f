"""One local AWS for all end-to-end tests, with the template deployed to it from a copy of the project.

The copy has one more file of workflows, which is all that a person who writes their own adds.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import pytest

from benchmarks import load
from tests.e2e.chaos import STOCK
from tests.e2e.shop import open_shop
from worldflow.devtools.local_aws import LocalAws
from worldflow.devtools.stack import Stack, deploy, parameters_of_this_machine
from worldflow.devtools.verify import deployment as verification

PROJECT = Path(__file__).parents[2]
T = TypeVar("T")
STEP_POLICY = "arn:aws:iam::000000000000:policy/worldflow-steps"
PERMISSIONS = (PROJECT / "docs/guide/permissions.md").read_text()
ENDED = {"completed", "failed", "cancelled", "continued", "blocked"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The one that has to wait for the clock comes last, when the time has passed."""
    items.sort(key=lambda item: item.path.name == "test_a_schedule_starts_runs.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A copy of the project, built."""

    folder: Path
    template: Path
    parameters: list[str]

    @property
    def shop(self) -> str:
        """Where `shop.py` keeps its books."""
        return str(self.folder / "shop.db")

    @property
    def notes(self) -> Path:
        """Where the steps of the load note that they ran."""
        return self.folder / "notes"

    def release(self, number: int, stack: Stack) -> None:
        """Deploys the next release: its code differs in its number."""
        code = self.template.parent / "WorkflowsLayer/python/workflows/shop.py"
        code.write_text(re.sub(r"(?m)^RELEASE = \d+$", f"RELEASE = {number}", code.read_text()))
        for bytecode in code.parent.glob("__pycache__/shop.*.pyc"):
            bytecode.unlink()
        deploy(stack.aws, self.template, parameters=self.parameters)

    @contextmanager
    def other_workflows(self, stack: Stack, files: Mapping[str, str]) -> Iterator[None]:
        """Deploys the workflows with other files in their place, as an update of the stack does, but in no time."""
        content = io.BytesIO()
        folder = self.template.parent / "WorkflowsLayer"
        with zipfile.ZipFile(content, "w") as layer:
            for file in (*folder.rglob("*.py"), *folder.rglob("*.dist-info/METADATA")):
                text = files[file.name] if file.parent.name == "workflows" and file.name in files else file.read_text()
                layer.writestr(str(file.relative_to(folder)), text)
        lambdas = stack.aws.client("lambda")
        published = lambdas.publish_layer_version(LayerName="other", Content={"ZipFile": content.getvalue()})
        before = {}
        for function in ("Orchestrator", "StepExecutor", "Signal"):
            name = stack.outputs[f"{function}FunctionName"]
            layers = lambdas.get_function_configuration(FunctionName=name)["Layers"]
            before[name] = [layer["Arn"] for layer in layers]
            others = [published["LayerVersionArn"] if "workflows" in arn else arn for arn in before[name]]
            lambdas.update_function_configuration(FunctionName=name, Layers=others)
        try:
            yield
        finally:
            for name, layers in before.items():
                lambdas.update_function_configuration(FunctionName=name, Layers=layers)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    copy = tmp_path_factory.mktemp("project")
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(PROJECT / name, copy)
    for name in ("functions", "layers"):
        shutil.copytree(
            PROJECT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    # Deployed with other parameters: E2E_PARAMETERS="StepTimeout=30"
    given = os.environ.get("E2E_PARAMETERS", "").split()
    parameters = [*parameters_of_this_machine(), "RetentionDays=1", f"StepPolicies={STEP_POLICY}", *given]
    project = Project(folder=copy, template=copy / "built/template.yaml", parameters=parameters)
    workflows = copy / "layers/workflows/workflows"
    shutil.copy(Path(__file__).with_name("flows.py"), workflows)
    shutil.copy(verification.WORKFLOWS, workflows / "verification.py")
    shop = Path(__file__).with_name("shop.py").read_text()
    (workflows / "shop.py").write_text(shop.replace('SHOP = ""', f"SHOP = {project.shop!r}", 1))
    # The layer has what agents need, and none: to import them takes a second of each cold start.
    (workflows / "agents.py").touch()
    for name in ("research_agent", "chat"):
        shutil.copytree(PROJECT / "examples" / name, copy / "layers/workflows/examples" / name)
    (copy / "layers/workflows/requirements.txt").write_text(f"pydantic-ai-slim=={version('pydantic-ai-slim')}\n")
    (workflows / "rates.py").write_text(block(PERMISSIONS, "python", "def call_api("))
    (workflows / "load_flow.py").write_text(load.flow(project.notes))
    open_shop(project.shop, STOCK)
    command = ["sam", "build", "--build-dir", "built", "--parameter-overrides", *parameters]
    built = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return project


@pytest.fixture(scope="session")
def stack(project: Project) -> Iterator[Stack]:
    with LocalAws(project.folder / "local-aws", enforce_iam=True) as aws:
        document = block(PERMISSIONS, "json", "secretsmanager:GetSecretValue")
        aws.client("iam").create_policy(PolicyName=STEP_POLICY.rpartition("/")[2], PolicyDocument=document)
        yield deploy(aws, project.template, parameters=project.parameters)


def block(page: str, language: str, text: str) -> str:
    """The block of code of a page that has this text."""
    (found,) = [code for code in re.findall(rf"(?ms)^```{language}\n(.*?)^```$", page) if text in code]
    return str(found)


@pytest.fixture(scope="session", autouse=True)
def scheduled(stack: Stack) -> tuple[datetime, datetime]:
    """Between when the schedule of `test_a_schedule_starts_runs.py` was made: before all tests, so that none waits."""
    before = datetime.now(UTC)
    schedule = {"schedule_id": "minutely", "workflow": "nap", "input": {"duration": "0s"}}
    created = stack.call("POST", "/schedules", {**schedule, "schedule": "cron(* * * * ? *)"})
    assert created.status == 201, created
    return before, datetime.now(UTC)


@pytest.fixture
def start(stack: Stack) -> Callable[..., str]:
    """Starts a run over the API and returns its id."""

    def start(workflow: str, **input: Any) -> str:
        run_id = f"{workflow}-{uuid.uuid4().hex[:8]}"
        answer = stack.call("POST", "/runs", {"workflow": workflow, "input": input, "run_id": run_id})
        assert answer.status == 201, answer
        return run_id

    return start


@pytest.fixture
def ended(stack: Stack) -> Callable[..., dict[str, Any]]:
    """Waits until a run has ended, and returns its record."""

    def ended(run_id: str, *, within: float = 60) -> dict[str, Any]:
        def record() -> dict[str, Any] | None:
            answer = stack.call("GET", f"/runs/{run_id}")
            assert answer.status == 200, answer
            return answer.body if answer.body["status"] in ENDED else None

        return until(record, within)

    return ended


@pytest.fixture
def history(stack: Stack) -> Callable[[str], list[dict[str, Any]]]:
    """The events of a run, from the API."""

    def history(run_id: str) -> list[dict[str, Any]]:
        answer = stack.call("GET", f"/runs/{run_id}/events")
        assert answer.status == 200, answer
        events: list[dict[str, Any]] = answer.body["events"]
        return events

    return history


@pytest.fixture
def application(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of an application that uses the stack, in this process."""
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    return {**os.environ, **stack.environment}


def until(found: Callable[[], T | None], within: float) -> T:
    """What `found` returns, once that is something."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if (value := found()) is not None:
            return value
        time.sleep(0.1)
    raise AssertionError(f"nothing came of it within {within:g} s")


def waiting(stack: Stack, queue: str) -> int:
    """Messages in a queue, in sight or in flight."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = stack.aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)
    return sum(map(int, answer["Attributes"].values()))


@contextmanager
def visible_again_after(seconds: float | None, stack: Stack, *, receives: int = 5) -> Iterator[None]:
    """What a dead function had comes again after so long, instead of the template's minutes; `None` for those.

    receives: how often, before it is a dead letter.
    """
    sqs = stack.aws.client("sqs")
    before = {}
    for name in ("Run", "Step", "Timer") if seconds else ():
        queue = stack.outputs[f"{name}QueueUrl"]
        names = ["VisibilityTimeout", "RedrivePolicy"]
        before[queue] = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        policy = json.loads(before[queue]["RedrivePolicy"]) | {"maxReceiveCount": receives}
        changed = {"VisibilityTimeout": str(seconds), "RedrivePolicy": json.dumps(policy)}
        sqs.set_queue_attributes(QueueUrl=queue, Attributes=changed)
    try:
        yield
    finally:
        for queue, attributes in before.items():
            sqs.set_queue_attributes(QueueUrl=queue, Attributes=attributes)
