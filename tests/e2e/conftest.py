"""One local AWS for all end-to-end tests, with the template deployed to it from a copy of the project.

The copy has one more file of workflows, which is all that a person who writes their own adds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tools.local_aws import LocalAws
from tools.stack import Stack, deploy, parameters_of_this_machine

PROJECT = Path(__file__).parents[2]
T = TypeVar("T")
ENDED = {"completed", "failed", "cancelled", "continued", "blocked"}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    copy = tmp_path_factory.mktemp("project")
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(PROJECT / name, copy)
    for name in ("functions", "layers"):
        shutil.copytree(
            PROJECT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    shutil.copy(Path(__file__).with_name("flows.py"), copy / "layers/workflows/workflows/flows.py")
    command = ["sam", "build", "--build-dir", "built", "--parameter-overrides", *parameters_of_this_machine()]
    built = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    with LocalAws(copy / "local-aws") as aws:
        yield deploy(aws, copy / "built/template.yaml", parameters=parameters_of_this_machine())


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
