"""`@workflow` and `@step`: how the user's functions become definitions."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from functools import partial
from typing import Any, Generic, ParamSpec, TypedDict, TypeVar, Unpack, overload

from worldflow.engine.durations import Duration
from worldflow.engine.errors import ConfigurationError
from worldflow.engine.values.signatures import refuse_generators
from worldflow.engine.workflow.cancellation import Cancellation
from worldflow.engine.workflow.definitions import Step, Workflow, add_step, add_workflow
from worldflow.engine.workflow.dynamic import dynamic_only, make_dynamic
from worldflow.engine.workflow.guarantees import Guarantee, replacing_deprecated
from worldflow.engine.workflow.limits import ByCall, Limit, Value, is_count
from worldflow.engine.workflow.methods import Method, method
from worldflow.engine.workflow.ramps import check_ramp
from worldflow.engine.workflow.registry import DYNAMIC
from worldflow.engine.workflow.retry import RetryPolicy
from worldflow.engine.workflow.starts import StartOptions, check_batch, read_starts

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class _Options(TypedDict, total=False):
    """The options of every step, for type checkers."""

    name: str | None
    retry: RetryPolicy | None
    timeout: Duration | None
    heartbeat_timeout: Duration | None
    guarantee: Guarantee
    inline: bool | None
    queue: str | None
    limit: Limit | None
    priority: int | ByCall[int]
    fairness: ByCall[Value] | None
    cancellation: Cancellation


@overload
def workflow(function: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...
@overload
def workflow(
    *,
    name: str | None = None,
    version: int = 1,
    ramp: float = 100,
    timeout: Duration | None = None,
    inline_steps: bool = False,
    signals: Mapping[str, Any] | None = None,
    dynamic: bool = False,
    **starts: Unpack[StartOptions],
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Workflow[P, R]]: ...
def workflow(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    version: int = 1,
    ramp: float = 100,
    timeout: Duration | None = None,
    inline_steps: bool = False,
    signals: Mapping[str, Any] | None = None,
    dynamic: bool = False,
    **starts: Unpack[StartOptions],
) -> Any:
    """Makes an `async def` function a workflow.

    name: its name in runs and messages. Default: the function's name.
    version: an integer of at least 1. Two workflows cannot share a name and a version. New runs use the highest version
        of a name, and a run keeps its version.
    ramp: the percentage of new runs that use this version, chosen by their ids; the others use the version before. The
        lowest version takes all that is left. A child uses the version that its parent calls. Default: 100.
    timeout: a duration after which a run is cancelled where it waits and fails with `TimeoutError`, as if all of it
        were in an `asyncio.timeout`. A run keeps the timeout with which it started. Each generation and each attempt
        has it for itself.
    execution_timeout: the same, for all generations and attempts of a run together.
    retry: when to start a failed run again, as its next generation, with the same input. Default: never.
    throttle: how many runs begin in a time; the others wait, in order.
    debounce: one run for starts that follow each other, with the last input.
    batch: one run for many starts, with the lists of all of them.
    limit: a run begins when it gets a place at this `Limit`, and keeps it until it ends. `priority` and `fairness` are
        those of steps.
    inline_steps: steps run in the orchestrator's own turn by default; `@step(inline=False)` overrides it.
    signals: the types of signals by name, such as `{"approval": Approval}`. `wait_for_signal` reads values as this
        type. A sender whose process has this code gets `InvalidInputError` (422 from the API) for any other value.
    dynamic: runs every run whose workflow has a name that no other workflow has; `workflow_info().workflow_name` is
        that name. Its one parameter takes the arguments, by name. There can be one. It has no name and no versions.
    """
    _check_version(version)
    options: dict[str, Any] = {"ramp": check_ramp(ramp), "timeout": timeout, "inline_steps": inline_steps}

    def make(function: Callable[..., Coroutine[Any, Any, Any]], known_as: str) -> Workflow[..., Any]:
        definition = Workflow(function, known_as, version=version, signals=signals, **options)
        if dynamic:
            make_dynamic(definition, function)
            definition.version = DYNAMIC
        definition.starts = read_starts(known_as, dict(starts))
        if definition.starts.batch:
            check_batch(known_as, definition.function)
        return definition

    def add(definition: Workflow[..., Any]) -> Workflow[..., Any]:
        return add_workflow(definition, version)

    decorate = partial(_workflow_of, name, make, add)
    if dynamic:
        others = {"version": version != 1, "ramp": ramp != 100, "batch": starts.get("batch")}
        return dynamic_only("workflow", {"name": name, **others}, decorate)
    return decorate if function is None else decorate(function)


def _check_version(version: object) -> None:
    if not is_count(version):
        raise ConfigurationError(f"@workflow(version=...) takes an integer of at least 1, not {version!r}")


def _workflow_of(name: str | None, make: Callable[..., Any], add: Callable[[Any], Any], function: Any) -> Any:
    function = _unwrapped(function)
    _refuse_as("workflow", function)
    called = function.__func__ if isinstance(function, classmethod) else function
    if not (inspect.isfunction(called) and inspect.iscoroutinefunction(called)):
        raise ConfigurationError(f"@workflow needs an `async def` function, not {function!r}")
    if found := method(function, name, "workflow", make, add):
        return found
    return add(make(function, name or function.__name__))


@overload
def step(  # type: ignore[overload-overlap]  # a static method can be called
    function: classmethod[Any, P, Awaitable[R]] | staticmethod[P, Awaitable[R]], /
) -> _OfClass[P, R]: ...
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
    limit: Limit | None = None,
    priority: int | ByCall[int] = 0,
    fairness: ByCall[Value] | None = None,
    cancellation: Cancellation = "try",
    queue: str | None = None,
    dynamic: bool = False,
) -> _StepDecorator: ...
@overload
def step(*, stream: str, **options: Unpack[_Options]) -> _YieldingDecorator: ...
@overload
def step(*, stream: str, returns: Callable[[list[Any]], R], **options: Unpack[_Options]) -> _CollectingDecorator[R]: ...
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
    inline: runs the step in the orchestrator's own turn, without a message. For short steps that need no other role.
    cancellation: what happens to the step when its await is cancelled.
        "try": the await ends at once. The step is notified where it calls `heartbeat()` or writes to a stream, and does
            not begin if it has not. Its outcome is ignored.
        "abandon": the await ends at once. The step is not notified, and runs to its end.
        "wait": the step is notified, and the await lasts until its outcome is there. A result is returned, and the
            cancellation follows at the next `await`; otherwise the await raises `CancelledError`, whose `__cause__` is
            the step's own error. A step that has not begun does not begin, and is not retried.
    stream: for a generator, plain or async: each value that it yields goes to the run's stream of this name, and the
        list of them is the result.
    returns: with `stream`, a function of that list whose result is the step's, such as `"".join` or `len`.
    limit: attempts wait for a place at this `Limit`, and their timeouts count from then on. Of those that wait,
        the lowest `priority` goes first (an integer or a function of the arguments; default 0), and among these the
        values that the function `fairness` returns take turns.
    queue: the step queue, whose function has a role, memory, timeout and concurrency of its own. Default: that of all
        steps that name none. Such a step is not inline, also in a workflow with `inline_steps`.
    dynamic: runs every step that has a name that no other step has; `step_info().name` is that name. Its one parameter
        takes the arguments, by name. There can be one. `anything.named("charge")(arguments)` calls a step by name.

    `at_most_once=True`, `idempotent=False` and `pure=True` are deprecated names of the last three guarantees.
    """
    options = replacing_deprecated(options)
    stream, returns, dynamic = (options.pop(option, None) for option in ("stream", "returns", "dynamic"))
    if returns is not None and stream is None:
        raise ConfigurationError(
            "@step(returns=...) needs a stream=...: it makes the result of what a generator yields"
        )

    def make(function: Callable[..., Any], known_as: str) -> Step[..., Any]:
        if stream is not None:
            from worldflow.engine.workflow.yielding import yielding_step  # which hardly any application needs

            return yielding_step(function, known_as, stream, list if returns is None else returns, options)
        made: Step[..., Any] = Step(function, known_as, **options)
        return make_dynamic(made, function) if dynamic else made

    decorate = partial(_step_of, name, make, stream is not None)
    if dynamic:
        return dynamic_only("step", {"name": name, "stream": stream}, decorate)
    return decorate if function is None else decorate(function)


def _step_of(name: str | None, make: Callable[..., Any], may_yield: bool, function: Any) -> Any:
    function = _unwrapped(function)
    _refuse_as("step", function, may_yield=may_yield)
    if found := method(function, name, "step", make, add_step):
        return found
    if not callable(function):
        raise ConfigurationError(f"@step needs a function, not {function!r}")
    known_as = name or getattr(function, "__name__", None)
    if known_as is None:
        raise ConfigurationError(f"{function!r} has no __name__: name the step with @step(name=...)")
    return add_step(make(function, known_as))


class _OfClass(Generic[P, R]):
    """The type of a step of a class: only for type checkers."""

    def __get__(self, instance: object, owner: type | None = None, /) -> Step[P, R]: ...  # type: ignore[empty-body]


class _StepDecorator:
    """The type of `step(...)`: only for type checkers, which need the two kinds of function apart."""

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: classmethod[Any, P, Awaitable[R]] | staticmethod[P, Awaitable[R]], /
    ) -> _OfClass[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Step[P, R]: ...
    def __call__(self, function: Any, /) -> Any: ...


class _YieldingDecorator:
    """The type of `step(stream=...)`: only for type checkers."""

    @overload
    def __call__(self, function: Callable[P, AsyncIterator[T]], /) -> Step[P, list[T]]: ...
    @overload
    def __call__(self, function: Callable[P, Iterator[T]], /) -> Step[P, list[T]]: ...
    def __call__(self, function: Any, /) -> Any: ...


class _CollectingDecorator(Generic[R]):
    """The type of `step(stream=..., returns=...)`: only for type checkers."""

    def __call__(self, function: Callable[P, AsyncIterator[Any] | Iterator[Any]], /) -> Step[P, R]: ...  # type: ignore[empty-body]


def _unwrapped(function: Any) -> Any:
    """A static method's function: it needs neither an instance nor a class."""
    return function.__func__ if isinstance(function, staticmethod) else function


def _refuse_as(kind: str, function: Any, *, may_yield: bool = False) -> None:
    """Raises `ConfigurationError` for what is called and gives neither a result nor something to await."""
    if isinstance(function, (Workflow, Step, Method)):
        is_workflow = isinstance(function, Workflow) or getattr(function, "kind", "") == "workflow"
        this, that = ("a workflow", "a step") if is_workflow else ("a step", "a workflow")
        article = f"a {kind}"
        also = f" and cannot also be {that}" if article == that else ""
        raise ConfigurationError(f"@{kind} on {function!r}: it is already {this}{also}. Remove one of the decorators")
    instead = "return a list, call one step per item, or let it write to a stream with @step(stream=...)"
    if kind == "workflow":
        instead = "await what it needs and return one result; report progress with publish() or set_status()"
    function = function.__func__ if isinstance(function, classmethod) else function
    if callable(function) and not may_yield:
        refuse_generators(function, f"@{kind}", instead)
