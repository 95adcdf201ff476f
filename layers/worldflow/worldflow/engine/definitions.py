"""`@workflow` and `@step`: the user's functions, known by name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Generic, ParamSpec, TypeVar, overload

from worldflow.engine.errors import ConfigurationError, StepNotFoundError, WorkflowNotFoundError
from worldflow.engine.loop import running_loop
from worldflow.engine.retry import RetryPolicy
from worldflow.engine.serialization import Signature

P = ParamSpec("P")
R = TypeVar("R")


class Workflow(Generic[P, R]):
    """A workflow: an async function whose progress is durable. Calling it outside a run just calls the function."""

    def __init__(self, function: Callable[P, Coroutine[Any, Any, R]], name: str) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name
        self.signature = Signature(function, name)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"


class Step(Generic[P, R]):
    """A step: a function whose result is recorded, so that it is not run again on replay.

    Called in a workflow, it is run by the step executor and its result awaited. Called anywhere else, it is the
    function.
    """

    def __init__(self, function: Callable[P, Any], name: str, retry: RetryPolicy) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name
        self.retry = retry
        self.signature = Signature(function, name)
        self.is_async = inspect.iscoroutinefunction(function)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        loop = running_loop()
        if loop is None:
            return self.function(*args, **kwargs)  # type: ignore[no-any-return]
        return loop.host.call_step(self, args, kwargs)

    def __repr__(self) -> str:
        return f"<step {self.name}>"


_workflows: dict[str, Workflow[..., Any]] = {}
_steps: dict[str, Step[..., Any]] = {}


@overload
def workflow(function: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...
@overload
def workflow(*, name: str | None = None) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Workflow[P, R]]: ...
def workflow(function: Any = None, /, *, name: str | None = None) -> Any:
    """Makes an `async def` function a workflow.

    name: what runs and messages call it; the function's own name unless given. Two workflows cannot share one.
    """

    def decorate(function: Callable[..., Coroutine[Any, Any, Any]]) -> Workflow[..., Any]:
        if not inspect.iscoroutinefunction(function):
            raise ConfigurationError(f"@workflow needs an `async def` function, and {function!r} is not one")
        return _register(_workflows, Workflow(function, name or function.__name__), "workflows")

    return decorate if function is None else decorate(function)


@overload
def step(function: Callable[P, Awaitable[R]], /) -> Step[P, R]: ...
@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(*, name: str | None = None, retry: RetryPolicy = ...) -> _StepDecorator: ...
def step(function: Any = None, /, *, name: str | None = None, retry: RetryPolicy = RetryPolicy()) -> Any:  # noqa: B008
    """Makes a function a step. A plain function runs in a thread; an `async def` one on the executor's event loop.

    name: what histories and messages call it; the function's own name unless given. Two steps cannot share one.
    retry: when a failed attempt is tried again; three retries with exponential backoff unless given.
    """

    def decorate(function: Callable[..., Any]) -> Step[..., Any]:
        if not callable(function):
            raise ConfigurationError(f"@step needs a function, and {function!r} is not one")
        if not isinstance(retry, RetryPolicy):
            raise ConfigurationError(f"@step(retry=...) takes a RetryPolicy(max_attempts=...), and not {retry!r}")
        return _register(_steps, Step(function, name or function.__name__, retry), "steps")

    return decorate if function is None else decorate(function)


class _StepDecorator:
    """The type of `step(...)`: only for type checkers, which need the two kinds of function apart."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Step[P, R]: ...
    def __call__(self, function: Any, /) -> Any: ...


D = TypeVar("D", Workflow[..., Any], Step[..., Any])


def _register(registry: dict[str, D], definition: D, kind: str) -> D:
    other = registry.get(definition.name)
    if other is not None and _place(other) != _place(definition) and "<locals>" not in definition.function.__qualname__:
        raise ConfigurationError(
            f"two {kind} are named {definition.name!r}: {_place(other)} and {_place(definition)}. "
            f"Give one of them a name of its own: @{kind[:-1]}(name=...)"
        )
    registry[definition.name] = definition
    return definition


def forget(module: str) -> None:
    """Forgets the workflows and steps that a module has defined."""
    registries: tuple[dict[str, Any], ...] = (_workflows, _steps)
    for registry in registries:
        for name in [name for name, definition in registry.items() if definition.function.__module__ == module]:
            del registry[name]


def _place(definition: Workflow[..., Any] | Step[..., Any]) -> str:
    return f"{definition.function.__module__}.{definition.function.__qualname__}"


def find_workflow(name: str) -> Workflow[..., Any]:
    """The workflow of this name. Raises `WorkflowNotFoundError`."""
    try:
        return _workflows[name]
    except KeyError:
        raise WorkflowNotFoundError(name, list(_workflows)) from None


def find_step(name: str) -> Step[..., Any]:
    """The step of this name. Raises `StepNotFoundError`."""
    try:
        return _steps[name]
    except KeyError:
        raise StepNotFoundError(f"there is no step {name!r}; the deployed code has: {_names(_steps)}") from None


def _names(registry: Iterable[str]) -> str:
    return ", ".join(sorted(registry)) or "none"
