"""Where interceptors are registered, and what they do to how a step ends and where a workflow stands."""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.driver import Driver
from worldflow import (
    ConfigurationError,
    Interceptor,
    InvalidInputError,
    Proceed,
    StepCall,
    StepTimeoutError,
    WorkflowCall,
    intercept,
    step,
    wait_for_signal,
    workflow,
)
from worldflow.engine.workflow.execution import Execution
from worldflow.engine.workflow.registry import interceptors
from worldflow.engine.workflow.standing import standing
from worldflow.runtime import load_workflows
from worldflow.runtime.headers import check_headers
from worldflow.testing import WorkflowEnvironment
from worldflow.turns.calling import Result, call_step_within
from worldflow.turns.threads import Threads

MODULE = """
from worldflow import Interceptor, intercept

class Around(Interceptor):
    pass

intercept(Around(), Around())
"""


def of_module(name: str) -> int:
    return sum(one.module == name for one in interceptors)


def test_a_module_that_is_loaded_again_replaces_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tenancy_a.py").write_text(MODULE)
    (tmp_path / "tenancy_b.py").write_text(MODULE + "raise ValueError")
    monkeypatch.syspath_prepend(str(tmp_path))
    load_workflows(["tenancy_a", "tenancy_b"])
    importlib.reload(sys.modules["tenancy_a"])

    assert (of_module("tenancy_a"), of_module("tenancy_b")) == (2, 0)


class Plain(Interceptor):
    def run_step(self, call: StepCall, proceed: Proceed) -> Any:
        return proceed()


@pytest.mark.parametrize("wrong", [Interceptor, "Tenant", Plain()])
def test_what_is_no_interceptor_is_refused(wrong: Any) -> None:
    before = len(interceptors)
    with pytest.raises(ConfigurationError, match=r"takes instances of Interceptor|must be an `async def` method"):
        intercept(wrong)
    assert len(interceptors) == before


class Waits(Interceptor):
    async def run_step(self, call: StepCall, proceed: Proceed) -> Any:
        try:
            return await proceed()
        finally:
            await asyncio.sleep(0)


@step
async def hangs() -> None:
    await asyncio.Event().wait()


@step
def takes_its_time() -> str:
    time.sleep(0.05)
    return "done"


async def within(called: Any, timeout: float | None, around: Any) -> Result:
    threads = Threads(1, "test")
    try:
        return await call_step_within(around, threads, called, {}, timeout)
    finally:
        threads.close()


async def test_the_timeout_of_a_step_is_seen_around_it() -> None:
    async def around(proceed: Any) -> Any:
        with pytest.raises(StepTimeoutError):
            await proceed()
        return "too late"

    assert (await within(hangs, 0.01, around)).value == "too late"
    assert isinstance((await within(hangs, 0.01, lambda proceed: proceed())).error, StepTimeoutError)


async def test_a_plain_step_is_waited_for_when_its_process_stops() -> None:
    task = asyncio.create_task(within(takes_its_time, 0.01, lambda proceed: proceed()))
    await asyncio.sleep(0.01)
    task.cancel()
    assert (await task).value == "done"


@workflow
async def stands_within() -> None:
    await wait_for_signal("on")


class Around(Interceptor):
    async def run_workflow(self, call: WorkflowCall, proceed: Proceed) -> Any:
        return await proceed()


def test_the_line_of_the_workflow_is_the_last() -> None:
    with intercept(Around(), Waits(), Around()):
        history = Driver(stands_within).history
        execution = Execution("run-1", stands_within)
        execution.replay(history)
    (task,) = standing(execution)
    line = stands_within.function.__code__.co_firstlineno + 2
    assert execution.where() == f" (at {__file__}:{line}, in stands_within)"
    users = [frame for frame in task.frames if frame.is_users]
    assert [frame.function for frame in users] == ["Around.run_workflow", "Around.run_workflow", "stands_within"]
    assert (users[-1].line, task.waits_for) == (line, "wait_for_signal('on')")
    execution.dispose()


@pytest.mark.parametrize(
    "headers", [["tenant"], {"a b": "c"}, {"tenant": 3}, {"tenant": "\ud800"}, {"tenant": "x" * 2_048}]
)
def test_headers_are_names_with_short_texts(headers: Any) -> None:
    with pytest.raises(InvalidInputError):
        check_headers(headers)


async def test_a_run_without_headers_has_none_in_its_history() -> None:
    with intercept(Around()):
        async with WorkflowEnvironment() as env:
            run = await env.start(stands_within)
            assert "headers" not in (await run.events())[0].payload
            await env.orchestrator.start_workflow("r", stands_within, headers={"a": "b"})
            await env.advance("1s")
            assert (await env.run("r").events())[0].payload["headers"] == {"a": "b"}
