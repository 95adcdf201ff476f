"""Workflows and steps: the user's functions, known by name. `decorators.py` makes them."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, get_args, overload

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
from worldflow.engine.ids import ENTITY, check_name, check_run_id
from worldflow.engine.queues import DEFAULT, check_queue
from worldflow.engine.values.serialization import Codec
from worldflow.engine.values.signatures import Signature, as_function
from worldflow.engine.workflow.cancellation import Cancellation, check_cancellation
from worldflow.engine.workflow.dynamic import Nameable
from worldflow.engine.workflow.guarantees import Guarantee, check_guarantee
from worldflow.engine.workflow.limits import ByCall, Limit, Value, check_options
from worldflow.engine.workflow.registry import DYNAMIC, OWN, Registry, interceptors
from worldflow.engine.workflow.retry import RetryPolicy
from worldflow.engine.workflow.starts import Starts

P = ParamSpec("P")
R = TypeVar("R")
Q = ParamSpec("Q")
C = TypeVar("C", bound=type)


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


class Workflow(Nameable, Generic[P, R]):
    """A workflow: an async function whose progress is durable.

    Called in a workflow, it starts a child run and its result is awaited. Called anywhere else, it is the function.
    """

    problem: str | None = None
    """Why it cannot run as a workflow, if so: it is a method of an instance that has no name."""

    def __init__(
        self,
        function: Callable[P, Coroutine[Any, Any, R]],
        name: str,
        *,
        version: int = 1,
        ramp: float = 100,
        timeout: Duration | None = None,
        inline_steps: bool = False,
        signals: Mapping[str, Any] | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name
        self.version = version
        self.ramp = ramp
        self.timeout = None if timeout is None else seconds(timeout)
        self.inline_steps = inline_steps
        self.starts = Starts()
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

    if TYPE_CHECKING:  # what a method is on an instance; see `methods.py`

        @overload
        def __get__(self, instance: None, owner: type, /) -> Workflow[P, R]: ...
        @overload
        def __get__(
            self: Workflow[Concatenate[Any, Q], R], instance: object, owner: type | None = None, /
        ) -> Workflow[Q, R]: ...
        def __get__(self, instance: Any, owner: Any = None, /) -> Any: ...

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[object, None, R]:
        caller = _caller()
        if caller is None:
            return self.function(*args, **kwargs)
        check_usable(self)
        return caller.call_child(self, args, kwargs)

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
        check_usable(self)
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


class Step(Nameable, Generic[P, R]):
    """A step: a function whose result is recorded, so that it is not run again on replay.

    Called in a workflow, it is run by the step executor and its result awaited. Called anywhere else, it is the
    function.
    """

    problem: str | None = None
    """Why it cannot run as a step, if so: it is a method of an instance that has no name."""
    entity: str | None = None
    """The run of the entity that is called: see `entity_calls.py`."""
    lock: str | None = None
    waiting: list[str] | None = None

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
        limit: Limit | None = None,
        priority: int | ByCall[int] = 0,
        fairness: ByCall[Value] | None = None,
        cancellation: Cancellation = "try",
        queue: str | None = None,
    ) -> None:
        check_guarantee(guarantee)
        check_cancellation(cancellation)
        functools.update_wrapper(self, function, updated=["__dict__"] if inspect.isroutine(function) else [])
        self.function = function
        self.name = name
        self.guarantee = guarantee
        self.inline = inline
        self.cancellation = cancellation
        self.queue: str | None = None
        self.signature = Signature(function, name)
        self.is_async = inspect.iscoroutinefunction(as_function(function))
        self.retry = RetryPolicy(max_attempts=1) if guarantee == "at_most_once" else RetryPolicy()
        self.timeout: float | None = None
        self.heartbeat_timeout: float | None = None
        self.limit = limit
        self.priority = priority
        self.fairness = fairness
        self._set(retry, timeout, heartbeat_timeout)
        self._check_limit()
        self._send_to(queue)

    if TYPE_CHECKING:  # what a method is on an instance, or a class; see `methods.py`

        @overload
        def __get__(self: Step[Concatenate[C, Q], R], instance: None, owner: C, /) -> Step[Q, R]: ...
        @overload
        def __get__(self, instance: None, owner: type, /) -> Step[P, R]: ...
        @overload
        def __get__(
            self: Step[Concatenate[Any, Q], R], instance: object, owner: type | None = None, /
        ) -> Step[Q, R]: ...
        def __get__(self, instance: Any, owner: Any = None, /) -> Any: ...

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[object, None, R]:
        caller = _caller()
        if caller is None:
            return self.function(*args, **kwargs)  # type: ignore[no-any-return]
        check_usable(self)
        return caller.call_step(self, args, kwargs)

    def options(
        self,
        *,
        retry: RetryPolicy | None = None,
        timeout: Duration | None = None,
        heartbeat_timeout: Duration | None = None,
        inline: bool | None = None,
        priority: int | ByCall[int] | None = None,
        cancellation: Cancellation | None = None,
        queue: str | None = None,
    ) -> Step[P, R]:
        """This step with other options, for one call: `charge.options(timeout="10s")(order)`. See `step()`.

        None keeps an option as it is. To try once, use `retry=RetryPolicy(max_attempts=1)`; for the queue of steps that
        name none, `queue="default"`.
        """
        step = copy.copy(self)
        step._set(retry, timeout, heartbeat_timeout)
        if inline is not None:
            step.inline = inline
        if priority is not None:
            step.priority = priority
        step._check_limit()
        if cancellation is not None:
            check_cancellation(cancellation)
            step.cancellation = cancellation
        step._send_to(queue)
        return step

    def _check_limit(self) -> None:
        what = f"@step {self.name}"
        check_options(what, self.limit, self.priority, self.fairness)
        if self.limit:
            self.limit.check_step(what, self.inline)

    def _send_to(self, queue: str | None) -> None:
        if queue is not None:
            self.queue = None if check_queue(queue, "@step(queue=...)") == DEFAULT else queue
        if self.queue and self.inline:
            raise ConfigurationError(
                f"@step(inline=True, queue={self.queue!r}) of {self.name}: an inline step runs in the orchestrator's "
                f"turn and goes through no queue. Remove one of the two"
            )

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


_workflows: Registry[Workflow[..., Any]] = Registry("workflow", ENTITY, OWN)
_steps: Registry[Step[..., Any]] = Registry("step", OWN)
_workflows.add_own_later("worldflow.map_page", "worldflow.engine.workflow.paging")
_steps.add_own_later("worldflow.walk_source", "worldflow.sources.steps")
_steps.add_own_later("worldflow.read_page", "worldflow.sources.steps")
workflow_names = _workflows.names
"""The names of the workflows that are known here."""


def add_workflow(definition: Workflow[..., Any], version: int = 1) -> Workflow[..., Any]:
    """Makes a workflow known by its name. Raises `ConfigurationError` where another has it."""
    return _workflows.add_dynamic(definition) if definition.is_dynamic else _workflows.add(definition, version)


def add_step(definition: Step[..., Any]) -> Step[..., Any]:
    """Makes a step known by its name. Raises `ConfigurationError` where another has it."""
    return _steps.add_dynamic(definition) if definition.is_dynamic else _steps.add(definition)


def forget(module: str) -> None:
    """Forgets the workflows and steps that a module has defined, and its interceptors."""
    interceptors[:] = [one for one in interceptors if one.module != module]
    _workflows.forget(module)
    _steps.forget(module)


def check_usable(definition: Workflow[..., Any] | Step[..., Any]) -> None:
    """Raises `ConfigurationError` for a method of an instance that no other process could find."""
    if definition.problem:
        raise ConfigurationError(definition.problem)


def check_found(definition: Workflow[..., Any] | Step[..., Any]) -> None:
    """Raises `ConfigurationError` where the name of a definition leads to another one, of a test perhaps."""
    check_usable(definition)
    if isinstance(definition, Workflow):
        _workflows.check(definition, definition.version)
    else:
        _steps.check(definition)


def find_workflow(name: str, version: int | None = None, advice: str = "") -> Workflow[..., Any]:
    """The workflow of this name and version. Raises `WorkflowNotFoundError`.

    version: default: the highest, or the dynamic workflow if no other has this name.
    advice: what to add to the error.
    """
    versions = _workflows.versions(name)
    stands_in = version == DYNAMIC or (version is None and not versions)
    if stands_in and (dynamic := _workflows.dynamic(name, is_pinned=version == DYNAMIC)):
        return dynamic
    if not versions:
        raise WorkflowNotFoundError(name, _workflows.names(), advice)
    found = versions.get(max(versions) if version is None else version)
    if found is None:
        there = ", ".join(f"{name} (version {number})" for number in sorted(versions))
        missing = f"{name} (dynamic)" if version == DYNAMIC else f"{name} (version {version})"
        raise WorkflowNotFoundError(missing, [there], advice)
    return found


def versions_of(name: str) -> Mapping[int, Workflow[..., Any]]:
    """The versions of a workflow that are known here."""
    return _workflows.versions(name)


def known_steps() -> list[Step[..., Any]]:
    """The steps that are known here, by name."""
    return [_steps.versions(name)[1] for name in _steps.names()]


def oldest_version(name: str) -> int:
    """The lowest version of a workflow: that of runs that are older than versions."""
    return min(_workflows.versions(name), default=1)


def find_step(name: str) -> Step[..., Any]:
    """The step of this name, or the dynamic one. Raises `StepNotFoundError`."""
    versions = _steps.versions(name)
    if not versions and (dynamic := _steps.dynamic(name)):
        return dynamic
    if not versions:
        names = ", ".join(_steps.names())
        loaded = f"loaded steps: {names}" if names else "no steps are loaded"
        raise StepNotFoundError(f"there is no step {name!r}; {loaded}")
    return versions[1]
