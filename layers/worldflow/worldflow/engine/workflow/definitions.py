"""`@workflow` and `@step`: the user's functions, known by name."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, get_args, overload

from worldflow.engine.durations import Duration, seconds
from worldflow.engine.errors import (
    ConfigurationError,
    InvalidInputError,
    OutsideError,
    StepNotFoundError,
    WorkflowNotFoundError,
)
from worldflow.engine.here import running_loop
from worldflow.engine.history import Json, ParentClose
from worldflow.engine.ids import check_name, check_run_id
from worldflow.engine.values.serialization import Codec
from worldflow.engine.values.signatures import Signature, as_function, refuse_generators
from worldflow.engine.workflow.guarantees import Guarantee, check_guarantee, replacing_deprecated
from worldflow.engine.workflow.registry import Registry
from worldflow.engine.workflow.retry import RetryPolicy

P = ParamSpec("P")
R = TypeVar("R")


class Caller(Protocol):
    """The run whose workflow calls a step or another workflow."""

    def call_step(self, step: Step[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Coroutine[Any, Any, Any]:
        """An awaitable that schedules the step and gives its result."""

    def call_child(
        self, workflow: Workflow[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """An awaitable that starts a child run and gives its result."""

    def start_detached(self, workflow: Workflow[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> str:
        """Starts a child run that nobody awaits. Returns its run id."""


def _caller() -> Caller | None:
    """The run that calls, if one does."""
    loop = running_loop()
    caller: Caller | None = None if loop is None else loop.host
    return caller


class Workflow(Generic[P, R]):
    """A workflow: an async function whose progress is durable.

    Called in a workflow, it starts a child run and its result is awaited. Called anywhere else, it is the function.
    """

    def __init__(
        self,
        function: Callable[P, Coroutine[Any, Any, R]],
        name: str,
        *,
        version: int = 1,
        timeout: Duration | None = None,
        inline_steps: bool = False,
        signals: Mapping[str, Any] | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name
        self.version = version
        self.timeout = None if timeout is None else seconds(timeout)
        self.inline_steps = inline_steps
        self.run_id: str | None = None
        self.parent_close: ParentClose = "cancel"
        self.signature = Signature(function, name)
        self.signals = dict(signals or {})
        self._signal_codecs: dict[str, Codec] = {}
        for signal in self.signals:
            try:
                check_name(signal, "signal name")
            except InvalidInputError as error:
                raise ConfigurationError(f"@workflow(signals=...) of {name}: {error.summary}") from None

    def signal_codec(self, name: str) -> Codec | None:
        """What carries the values of a signal whose type is declared."""
        if name not in self.signals:
            return None
        if name not in self._signal_codecs:
            self._signal_codecs[name] = Codec(self.signals[name], name)
        return self._signal_codecs[name]

    def check_signal(self, name: str, value: Json) -> None:
        """Raises `InvalidInputError` for a value that is not of the type declared for this signal."""
        if codec := self.signal_codec(name):
            codec.check(value, f"the value does not fit the signal {name!r} of {self.name}", "value")

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[object, None, R]:
        caller = _caller()
        return self.function(*args, **kwargs) if caller is None else caller.call_child(self, args, kwargs)

    def input(self, /, *args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        """The arguments of a call by name, as `start_workflow` takes them. Raises `TypeError` as the call would."""
        return self.signature.bind(*args, **kwargs)

    def start_detached(self, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Starts a child run that is not awaited and outlives its parent. Returns its run id.

        Raises `OutsideError` outside a workflow.
        """
        caller = _caller()
        if caller is None:
            raise OutsideError("start_detached() only works inside a workflow; elsewhere use start_workflow()")
        return caller.start_detached(self, args, kwargs)

    def options(self, *, run_id: str | None = None, parent_close: ParentClose | None = None) -> Workflow[P, R]:
        """This workflow, to be called as a child with these options.

        run_id: the child's run id. Default: `<parent>~c<n>`. The call fails if another run has this id.
        parent_close: what happens to the child if its parent ends first: `cancel` (default), `terminate` or `abandon`
            (it continues).
        """
        if run_id is not None:
            check_run_id(run_id)
        if parent_close not in (None, *get_args(ParentClose)):
            raise ConfigurationError(f"parent_close must be cancel, terminate or abandon, not {parent_close!r}")
        workflow = copy.copy(self)
        workflow.run_id = run_id or self.run_id
        workflow.parent_close = parent_close or self.parent_close
        return workflow

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"


class Step(Generic[P, R]):
    """A step: a function whose result is recorded, so that it is not run again on replay.

    Called in a workflow, it is run by the step executor and its result awaited. Called anywhere else, it is the
    function.
    """

    def __init__(
        self,
        function: Callable[P, Any],
        name: str,
        *,
        retry: RetryPolicy | None = None,
        timeout: Duration | None = None,
        heartbeat_timeout: Duration | None = None,
        guarantee: Guarantee = "at_least_once",
        inline: bool | None = None,
    ) -> None:
        check_guarantee(guarantee)
        functools.update_wrapper(self, function, updated=["__dict__"] if inspect.isroutine(function) else [])
        self.function = function
        self.name = name
        self.guarantee = guarantee
        self.inline = inline
        self.signature = Signature(function, name)
        self.is_async = inspect.iscoroutinefunction(as_function(function))
        self.retry = RetryPolicy(max_attempts=1) if guarantee == "at_most_once" else RetryPolicy()
        self.timeout: float | None = None
        self.heartbeat_timeout: float | None = None
        self._set(retry, timeout, heartbeat_timeout)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[object, None, R]:
        caller = _caller()
        if caller is None:
            return self.function(*args, **kwargs)  # type: ignore[no-any-return]
        return caller.call_step(self, args, kwargs)

    def options(
        self,
        *,
        retry: RetryPolicy | None = None,
        timeout: Duration | None = None,
        heartbeat_timeout: Duration | None = None,
        inline: bool | None = None,
    ) -> Step[P, R]:
        """This step with other options, for one call: `charge.options(timeout="10s")(order)`. See `step()`.

        None keeps an option as it is. To try once, use `retry=RetryPolicy(max_attempts=1)`.
        """
        step = copy.copy(self)
        step._set(retry, timeout, heartbeat_timeout)
        if inline is not None:
            step.inline = inline
        return step

    def _set(self, retry: RetryPolicy | None, timeout: Duration | None, heartbeat_timeout: Duration | None) -> None:
        if retry is not None:
            if not isinstance(retry, RetryPolicy):
                raise ConfigurationError(f"@step(retry=...) takes a RetryPolicy(max_attempts=...), not {retry!r}")
            self.retry = retry
        if timeout is not None:
            self.timeout = _positive(timeout, "timeout")
        if heartbeat_timeout is not None:
            self.heartbeat_timeout = _positive(heartbeat_timeout, "heartbeat_timeout")

    def __repr__(self) -> str:
        return f"<step {self.name}>"


def _positive(duration: Duration, name: str) -> float:
    length = seconds(duration)
    if not length:
        raise ConfigurationError(f"{name} must be greater than zero, not {duration!r}")
    return length


_workflows: Registry[Workflow[..., Any]] = Registry("workflow")
_steps: Registry[Step[..., Any]] = Registry("step")
workflow_names = _workflows.names
"""The names of the workflows that are known here."""


@overload
def workflow(function: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...
@overload
def workflow(
    *,
    name: str | None = None,
    version: int = 1,
    timeout: Duration | None = None,
    inline_steps: bool = False,
    signals: Mapping[str, Any] | None = None,
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Workflow[P, R]]: ...
def workflow(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    version: int = 1,
    timeout: Duration | None = None,
    inline_steps: bool = False,
    signals: Mapping[str, Any] | None = None,
) -> Any:
    """Makes an `async def` function a workflow.

    name: its name in runs and messages. Default: the function's name.
    version: an integer of at least 1. Two workflows cannot share a name and a version. New runs use the highest version
        of a name, and a run keeps its version.
    timeout: a duration after which a run is cancelled where it waits and fails with `TimeoutError`, as if all of it
        were in an `asyncio.timeout`. A run keeps the timeout with which it started.
    inline_steps: steps run in the orchestrator's own turn by default; `@step(inline=False)` overrides it.
    signals: the types of signals by name, such as `{"approval": Approval}`. `wait_for_signal` reads values as this
        type. A sender whose process has this code gets `InvalidInputError` (422 from the API) for any other value.
    """
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ConfigurationError(f"@workflow(version=...) takes an integer of at least 1, not {version!r}")

    def decorate(function: Callable[..., Coroutine[Any, Any, Any]]) -> Workflow[..., Any]:
        _refuse_as("workflow", function)
        if not (inspect.isfunction(function) and inspect.iscoroutinefunction(function)):
            raise ConfigurationError(f"@workflow needs an `async def` function, not {function!r}")
        known_as = name or function.__name__
        definition = Workflow(
            function, known_as, version=version, timeout=timeout, inline_steps=inline_steps, signals=signals
        )
        return _workflows.add(definition, version)

    return decorate if function is None else decorate(function)


@overload
def step(function: Callable[P, Awaitable[R]], /) -> Step[P, R]: ...
@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    name: str | None = None,
    retry: RetryPolicy | None = None,
    timeout: Duration | None = None,
    heartbeat_timeout: Duration | None = None,
    guarantee: Guarantee = "at_least_once",
    inline: bool | None = None,
) -> _StepDecorator: ...
@overload  # with the deprecated names of guarantees
def step(
    *,
    name: str | None = None,
    retry: RetryPolicy | None = None,
    timeout: Duration | None = None,
    heartbeat_timeout: Duration | None = None,
    at_most_once: bool = False,
    inline: bool | None = None,
    pure: bool = False,
    idempotent: bool = True,
) -> _StepDecorator: ...
def step(function: Any = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Makes a function a step. A plain function runs in a thread; an `async def` function, or an awaitable that a plain
    function returns, runs on the executor's event loop.

    name: its name in histories and messages. Default: the function's name. Two steps cannot share a name. A
        `functools.partial` and an object with `__call__` have no name, and need one.
    retry: when to retry a failed attempt. Default: three retries with exponential backoff.
    timeout: how long an attempt may take, from when it is sent to the executor. After that it fails with
        `StepTimeoutError`, even if its function died. Default: no limit. A plain inline function is not interrupted.
    heartbeat_timeout: how long an attempt may go without `step_info().heartbeat()`. After that it fails in the same
        way.
    guarantee: how often the step may run.
        "at_least_once": an attempt whose process dies runs again. The outcome of a step that goes through the queue is
            in the ledger, so that a copy of its task does not run it again.
        "at_most_once": an attempt that has started never runs again. If its outcome is unknown, the step fails with
            `StepInterruptedError`. Such a step is not retried unless `retry` is given.
        "repeatable": the step may run again although nothing went wrong. It has no ledger, which saves a write for each
            attempt that goes through the queue.
        "pure": the step changes nothing outside, and may run again at any time. It has no ledger, and a chain of such
            steps that are `inline` has one write for up to a second's work.
    inline: runs the step in the orchestrator's own turn, without a message. For short steps that need neither the role
        nor the function of the step executor.

    `at_most_once=True`, `idempotent=False` and `pure=True` are deprecated names of the last three guarantees.
    """
    options = replacing_deprecated(options)

    def decorate(function: Callable[..., Any]) -> Step[..., Any]:
        _refuse_as("step", function)
        if not callable(function):
            raise ConfigurationError(f"@step needs a function, not {function!r}")
        known_as = name or getattr(function, "__name__", None)
        if known_as is None:
            raise ConfigurationError(f"{function!r} has no __name__: name the step with @step(name=...)")
        return _steps.add(Step(function, known_as, **options))

    return decorate if function is None else decorate(function)


class _StepDecorator:
    """The type of `step(...)`: only for type checkers, which need the two kinds of function apart."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Step[P, R]: ...
    def __call__(self, function: Any, /) -> Any: ...


def forget(module: str) -> None:
    """Forgets the workflows and steps that a module has defined."""
    _workflows.forget(module)
    _steps.forget(module)


def _refuse_as(kind: str, function: Any) -> None:
    """Raises `ConfigurationError` for what is called and gives neither a result nor something to await."""
    if isinstance(function, (Workflow, Step)):
        this, that = ("a workflow", "a step") if isinstance(function, Workflow) else ("a step", "a workflow")
        article = f"a {kind}"
        also = f" and cannot also be {that}" if article == that else ""
        raise ConfigurationError(f"@{kind} on {function!r}: it is already {this}{also}. Remove one of the decorators")
    instead = "return a list, or call one step per item"
    if kind == "workflow":
        instead = "await what it needs and return one result; report progress with publish() or set_status()"
    if callable(function):
        refuse_generators(function, f"@{kind}", instead)


def check_found(definition: Workflow[..., Any] | Step[..., Any]) -> None:
    """Raises `ConfigurationError` where the name of a definition leads to another one, of a test perhaps."""
    if isinstance(definition, Workflow):
        _workflows.check(definition, definition.version)
    else:
        _steps.check(definition)


def find_workflow(name: str, version: int | None = None, advice: str = "") -> Workflow[..., Any]:
    """The workflow of this name and version (default: the highest). Raises `WorkflowNotFoundError`.

    advice: what to add to the error.
    """
    versions = _workflows.versions(name)
    if not versions:
        raise WorkflowNotFoundError(name, _workflows.names(), advice)
    found = versions.get(max(versions) if version is None else version)
    if found is None:
        there = ", ".join(f"{name} (version {number})" for number in sorted(versions))
        raise WorkflowNotFoundError(f"{name} (version {version})", [there], advice)
    return found


def oldest_version(name: str) -> int | None:
    """The lowest version of a workflow: that of runs that are older than versions."""
    return min(_workflows.versions(name), default=None)


def find_step(name: str) -> Step[..., Any]:
    """The step of this name. Raises `StepNotFoundError`."""
    versions = _steps.versions(name)
    if not versions:
        names = ", ".join(_steps.names())
        loaded = f"loaded steps: {names}" if names else "no steps are loaded"
        raise StepNotFoundError(f"there is no step {name!r}; {loaded}")
    return versions[1]
