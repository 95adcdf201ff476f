"""Interceptors: code around each attempt of a step, and around the function of a workflow.

    class Tenant(Interceptor):
        async def run_step(self, call: StepCall, proceed: Proceed) -> Any:
            with tenant(call.headers.get("tenant")):
                return await proceed()

    intercept(Tenant())

The first that is registered is the outermost. Register them in a module that every process imports, such as one that
defines workflows.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from worldflow.engine.errors import ConfigurationError
from worldflow.engine.workflow.definitions import Workflow
from worldflow.engine.workflow.registry import Intercepting, interceptors
from worldflow.engine.workflow.run import WorkflowInfo
from worldflow.engine.workflow.step_info import StepInfo

_METHODS = ("run_step", "run_workflow")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCall:
    """An attempt of a step that is about to run. `attempt` counts from 1. `arguments` are by name; do not change them.
    `headers` are those of the run.
    """

    name: str
    run_id: str
    step_id: str
    attempt: int
    arguments: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowCall:
    """A run whose workflow's function is about to be called, or called again by a replay. `arguments` are by name; do
    not change them. `headers` are those of the run.
    """

    name: str
    run_id: str
    version: int
    arguments: Mapping[str, Any]
    headers: Mapping[str, str]


class Proceed(Protocol):
    """Calls what is intercepted: its result is returned, and its error raised, where the call is awaited."""

    def __call__(self) -> Awaitable[Any]: ...


class Interceptor:
    """Code around steps and workflows, for context, logs and traces: see `intercept`. Define one of the methods or
    both.
    """

    async def run_step(self, call: StepCall, proceed: Proceed) -> Any:
        """Called for each attempt of a step, in the process that runs it; `await proceed()` runs it. What this returns
        is the step's result, and what it raises the step's error. The step's timeout is raised by `proceed`.
        """
        return await proceed()

    async def run_workflow(self, call: WorkflowCall, proceed: Proceed) -> Any:
        """Called when a run begins, and by each replay; `await proceed()` runs the workflow's function. This is
        workflow code, with the same rules: it must be deterministic. What it returns is the run's result, and what it
        raises the run's error.
        """
        return await proceed()


class _Registered(AbstractContextManager[None]):
    """Some interceptors, until a `with` block ends."""

    def __init__(self, entries: list[Intercepting]) -> None:
        self._entries = entries

    def __exit__(self, *_: object) -> None:
        interceptors[:] = [one for one in interceptors if not any(one is entry for entry in self._entries)]


def intercept(*given: Interceptor) -> AbstractContextManager[None]:
    """Registers interceptors for all workflows and steps of this process, the first outermost. Call it once, at the top
    level of a module that defines workflows; when the module is loaded again, the new ones replace the old. In tests,
    `with intercept(...):` removes them at the end of the block.

    Raises `ConfigurationError` for anything but instances of `Interceptor`, and for methods that are not `async def`.
    """
    for one in given:
        if not isinstance(one, Interceptor):
            raise ConfigurationError(f"intercept() takes instances of Interceptor, not {one!r}")
        for method in _METHODS:
            if not inspect.iscoroutinefunction(getattr(one, method)):
                raise ConfigurationError(f"{type(one).__qualname__}.{method} must be an `async def` method")
    frame = sys._getframe(1)
    module = frame.f_globals.get("__name__", "")
    place = (frame.f_code.co_filename, frame.f_lineno) if frame.f_code.co_name == "<module>" else None
    entries = [Intercepting(one, module, place) for one in given]
    interceptors[:] = [one for one in interceptors if place is None or one.place != place] + entries
    return _Registered(entries)


def around_step(info: StepInfo, arguments: Mapping[str, Any], proceed: Proceed) -> Awaitable[Any]:
    """Calls a step within the interceptors. `proceed` calls its function."""
    call = StepCall(
        name=info.name,
        run_id=info.run_id,
        step_id=info.step_id,
        attempt=info.attempt,
        arguments=arguments,
        headers=info.headers,
    )
    around: Awaitable[Any] = _around("run_step", call, proceed)
    return around


def around_workflow(
    workflow: Workflow[..., Any], info: WorkflowInfo, arguments: Mapping[str, Any]
) -> Coroutine[Any, Any, Any]:
    """Calls a workflow's function within the interceptors."""
    call = WorkflowCall(
        name=info.workflow_name, run_id=info.run_id, version=info.version, arguments=arguments, headers=info.headers
    )
    around: Coroutine[Any, Any, Any] = _around("run_workflow", call, partial(workflow.signature.call, arguments))
    return around


def _around(method: str, call: StepCall | WorkflowCall, proceed: Callable[[], Any]) -> Any:
    for one in reversed(interceptors):
        if getattr(type(one.interceptor), method) is not getattr(Interceptor, method):
            proceed = partial(getattr(one.interceptor, method), call, proceed)
    return proceed()
