"""A cold start imports nothing that its function does not use."""

import os
import subprocess
import sys

import pytest

from tests.support.lambdas import ROOT

MODULES = "import app; print(*sys.modules)"
COLLECTIONS = """
import gc
walked = []
gc.callbacks.append(lambda phase, info: walked.append(info["generation"]))
import app
print(gc.isenabled(), 2 in walked, gc.get_freeze_count() > 100_000)
"""
ELSEWHERE = {
    "ctypes": "a workflow that is stuck",
    "sqlite3": "LocalWorld",
    "typer": "the command line",
    "rich": "the command line",
    "moto": "tests",
    "worldflow.worlds.local.world": "a laptop",
    "worldflow.worlds.recurrence": "whoever makes schedules",
    "tzdata": "whoever makes schedules",
    "opentelemetry": "whoever asks for it",
    "worldflow.tracing": "whoever asks for it",
    "worldflow.engine.workflow.interceptors": "whoever has some",
}
FOR_APPLICATIONS = {
    "worldflow.runtime.orchestrator",
    "worldflow.runtime.run_handle",
    "worldflow.runtime.updates",
    "worldflow.runtime.archive",
}


def cold_start(function: str, code: str, environment: dict[str, str]) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'functions' / function)!r}); {code}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()


def imported(function: str, aws_environment: dict[str, str], **more: str) -> set[str]:
    return set(cold_start(function, MODULES, {**aws_environment, **more}))


@pytest.fixture
def aws_environment() -> dict[str, str]:
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012"
    return {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "POWERTOOLS_SERVICE_NAME": "orders",
        "POWERTOOLS_METRICS_NAMESPACE": "Worldflow",
        "WORLDFLOW_TRACING": "Off",
        "WORLDFLOW_EVENTS_TABLE": "events",
        "WORLDFLOW_RUNS_TABLE": "runs",
        "WORLDFLOW_STEP_QUEUE_URL": f"{url}/steps.fifo",
        "WORLDFLOW_RUN_QUEUE_URL": f"{url}/runs.fifo",
        "WORLDFLOW_TIMER_QUEUE_URL": f"{url}/timers",
    }


@pytest.mark.parametrize("function", ["orchestrator", "step_executor"])
def test_the_functions_behind_the_queues(function: str, aws_environment: dict[str, str]) -> None:
    modules = imported(function, aws_environment)

    assert not modules & (ELSEWHERE.keys() | FOR_APPLICATIONS | {"aws_xray_sdk"})


@pytest.mark.parametrize("function", ["signal", "caretaker"])
def test_the_others(function: str, aws_environment: dict[str, str]) -> None:
    assert not imported(function, aws_environment) & (ELSEWHERE.keys() | {"aws_xray_sdk"})


def test_x_ray_is_there_where_tracing_is_on(aws_environment: dict[str, str]) -> None:
    assert "aws_xray_sdk" in imported("orchestrator", aws_environment, WORLDFLOW_TRACING="XRay")


@pytest.mark.parametrize("function", ["orchestrator", "step_executor", "signal", "caretaker"])
def test_opentelemetry_is_there_where_something_is_traced(function: str, aws_environment: dict[str, str]) -> None:
    modules = imported(function, aws_environment, WORLDFLOW_TRACING="OpenTelemetry")

    assert ("opentelemetry" in modules) == (function in ("orchestrator", "step_executor"))
    assert "aws_xray_sdk" not in modules


@pytest.mark.parametrize("function", ["orchestrator", "step_executor", "signal", "caretaker"])
def test_no_garbage_is_looked_for_in_what_is_imported(function: str, aws_environment: dict[str, str]) -> None:
    assert cold_start(function, COLLECTIONS, aws_environment) == ["True", "False", "True"]
