"""The library in an application (FastAPI, Django, a script), with the deployed stack and the documented names."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.conftest import PROJECT
from workflows.hello import hello
from worldflow import InvalidInputError, RunEndedError, RunNotFoundError
from worldflow.devtools.stack import Stack
from worldflow.runtime import Orchestrator
from worldflow.worlds import AWSWorld

pytestmark = pytest.mark.usefixtures("application")


async def test_start_watch_and_await_a_run() -> None:
    world = AWSWorld()  # from the environment
    orchestrator = Orchestrator(world)
    run = await orchestrator.start_workflow("app-1", hello, {"name": "World"}, "hello")
    again = await orchestrator.start_workflow("app-1", hello, {"name": "World"}, "hello")
    assert again.id == run.id
    assert await run.result() == ["Hello, World!", "Hello, World, again!"]
    status = await world.get_run_status("app-1")
    assert status["status"] == "completed"
    events = await world.load_events("app-1")
    assert [event.event_type for event in events].count("RunStarted") == 1
    assert events[1].payload == {"step_id": "s1", "name": "greet", "input": {"name": "World"}}
    with pytest.raises(RunEndedError):
        await run.signal("late")


async def test_bad_requests_are_refused_at_once() -> None:
    orchestrator = Orchestrator(AWSWorld())
    with pytest.raises(InvalidInputError, match="nme: no such parameter"):
        await orchestrator.start_workflow("app-2", hello, {"nme": "World"})
    with pytest.raises(RunNotFoundError):
        await orchestrator.signal("app-2", "approval")


def test_the_variables_of_a_stack_are_printed(stack: Stack) -> None:
    command = [sys.executable, "-m", "worldflow.devtools.environment", "worldflow-local"]
    env = {**os.environ, **stack.aws.env}
    done = subprocess.run(command, env=env, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    exports = [shlex.split(line)[1] for line in done.stdout.splitlines() if line.startswith("export ")]
    printed = dict(export.split("=", 1) for export in exports)
    told = {name: value for name, value in stack.environment.items() if name.startswith("WORLDFLOW_")}
    assert printed == {**told, "WORLDFLOW_API_GATEWAY_URL": stack.outputs["ApiUrl"]}


def test_the_command_line(application: dict[str, str]) -> None:
    def worldflow(*arguments: str) -> Any:
        command = [sys.executable, "-m", "worldflow", *arguments, "--json"]
        done = subprocess.run(command, env=application, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return (
            [json.loads(line) for line in done.stdout.splitlines()]
            if "events" in arguments
            else json.loads(done.stdout)
        )

    worldflow("start", "doubles", "--input", '{"start": 3, "times": 2}', "--run-id", "cli-1")
    events = worldflow("events", "cli-1", "--follow")
    assert events[-1]["event_type"] == "RunCompleted"
    assert worldflow("status", "cli-1")["result"] == 12
