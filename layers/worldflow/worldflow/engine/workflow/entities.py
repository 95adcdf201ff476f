"""Entities: objects with a key, whose state is durable and whose calls run one at a time.

An entity is a run. Its id is `Account@alice`, its workflow is the engine's own (`entity_runs.py`), and its calls are
updates. A workflow calls it by a step that no process runs: the entity's run sends the outcome.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self, get_origin, get_type_hints

from pydantic import ValidationError

from worldflow.engine.durations import Duration, seconds
from worldflow.engine.errors import (
    ConfigurationError,
    FieldError,
    InvalidInputError,
    OutsideError,
    SerializationError,
)
from worldflow.engine.here import running_loop
from worldflow.engine.history import Json
from worldflow.engine.ids import check_run_id, entity_workflow
from worldflow.engine.unawaited import Made
from worldflow.engine.values.serialization import Codec, explain
from worldflow.engine.workflow.awaitables import Call
from worldflow.engine.workflow.definitions import Step

LOCK, UNLOCK = "_lock", "_unlock"
"""Operations that every entity has. Those of users begin with no underscore."""

_TAKEN = {"key", "lock", "signal"}
"""The names that every reference has."""

LONGEST_LEASE = 86_400.0

Outside = Callable[["Operation", dict[str, Any], bool], Awaitable[Any]]
"""Calls an entity from outside, by an operation and its arguments by name. The last says that nobody waits."""


class Operation:
    """A method of an entity: of the object itself the method, and of a reference a call."""

    def __init__(self, function: Callable[..., Any], entity: str) -> None:
        self.name = function.__name__
        self.function = function
        self.__doc__ = function.__doc__
        # Without `self`, which is in another process.
        self.step: Step[..., Any] = Step(
            _without_self(function), f"{entity_workflow(entity)}.{self.name}", inline=False
        )

    @property
    def signature(self) -> Any:
        return self.step.signature

    def __get__(self, instance: Entity | None, owner: type[Entity]) -> Any:
        if instance is None:
            return self.function
        if instance._is_live:
            return self.function.__get__(instance, owner)
        return partial(instance._invoke, self)


def _without_self(function: Callable[..., Any]) -> Callable[..., Any]:
    bare: Any = partial(function, None)
    bare.__name__ = function.__name__
    return bare  # type: ignore[no-any-return]


class Calls(Protocol):
    """How a workflow calls entities: `entity_calls.py`."""

    async def call(
        self, run: Any, reference: Entity, operation: Operation, values: dict[str, Any], origin: Made
    ) -> Any:
        """Returns the outcome of a call."""

    async def tell(
        self, run: Any, reference: Entity, operation: Operation, values: dict[str, Any], origin: Made
    ) -> None:
        """Sends a call of which nobody awaits the outcome."""

    async def lock(self, run: Any, reference: Entity, lease: float) -> str:
        """Returns the id of a lock that is granted."""

    async def unlock(self, run: Any, reference: Entity, lock_id: str) -> None:
        """Ends a lock."""


class Definition:
    """What is known of a class of entities."""

    def __init__(self, cls: type[Entity], name: str, calls: Calls) -> None:
        self.cls = cls
        self.name = name
        self.calls = calls
        self.operations: dict[str, Operation] = {}
        self.lock = Operation(_lock, name)
        self._codecs: dict[str, Codec] = {}
        self._defaults: dict[str, Any] = {}
        self._read(cls)

    def _read(self, cls: type[Entity]) -> None:
        inherited: dict[str, Any] = {}
        for base in reversed(cls.__mro__[: cls.__mro__.index(Entity)]):
            inherited |= vars(base).get("_definition").__dict__["_defaults"] if "_definition" in vars(base) else {}
            for name, value in list(vars(base).items()):
                if isinstance(value, Operation):
                    value = value.function
                if name.startswith("_") or not inspect.isfunction(value):
                    continue
                if not inspect.iscoroutinefunction(value):
                    problem = f"make it async, or begin its name with _: {base.__name__}.{name}"
                    raise ConfigurationError(f"an operation of an entity must be an `async def` function; {problem}")
                self.operations[name] = Operation(value, self.name)
        for name, hint in get_type_hints(cls, include_extras=True).items():
            if name.startswith("_") or get_origin(hint) is ClassVar or hint is ClassVar:
                continue
            if name not in inherited and not hasattr(cls, name):
                raise ConfigurationError(f"the state of an entity needs a default: {cls.__name__}.{name}")
            self._codecs[name] = Codec(hint, name)
            self._defaults[name] = getattr(cls, name) if hasattr(cls, name) else inherited[name]
        self._check_names(cls)
        for name, operation in self.operations.items():
            setattr(cls, name, operation)
        for name in self._defaults.keys() & vars(cls).keys():
            delattr(cls, name)

    def _check_names(self, cls: type[Entity]) -> None:
        for name in (*self.operations, *self._defaults):
            if name in _TAKEN:
                raise ConfigurationError(f"every entity has a {name!r}; choose another name for {cls.__name__}.{name}")
        for name in self.operations.keys() & self._defaults.keys():
            raise ConfigurationError(f"{cls.__name__}.{name} is both an operation and a part of the state")

    @property
    def state_names(self) -> Collection[str]:
        return self._codecs.keys()

    def revive(self, key: str, state: Mapping[str, Json]) -> Entity:
        """The object itself, with its state. Raises `SerializationError`."""
        made = object.__new__(self.cls)
        vars(made).update(_key=key, _is_live=True)
        for name, codec in self._codecs.items():
            value = state[name] if name in state else codec.encode(self._defaults[name])
            try:
                setattr(made, name, codec.decode(value))
            except ValidationError as error:
                what = "state" if name in state else "default"
                problem = f"the {what} does not match its annotation: {explain(error, name)}"
                raise SerializationError(problem, f"{self.name}.{name}") from None
        return made

    def state(self, made: Entity) -> dict[str, Json]:
        """The state of the object, as JSON. Raises `SerializationError`."""
        return {name: codec.encode(getattr(made, name)) for name, codec in self._codecs.items()}


class Entity:
    """The base of a class of entities; see `entity`. `Account("alice")` is a reference: its methods call the entity.

    In a workflow, `await Account("alice").deposit(5)` is durable: the operation runs once, and its outcome stands in
    the history. Elsewhere, `orchestrator.entity(Account, "alice")` is the reference.
    """

    _definition: ClassVar[Definition]
    _is_live: bool
    _key: str
    _outside: Outside | None
    _is_signal: bool

    def __init__(self, key: str) -> None:
        if "_definition" not in vars(type(self)):
            raise ConfigurationError(f"decorate the class {type(self).__name__} with @entity")
        vars(self).update(_key=key, _is_live=False, _outside=None, _is_signal=False)
        try:
            check_run_id(self._run_id if isinstance(key, str) and key else "")
        except InvalidInputError:
            rule = "letters, digits and _.:=@+-, at least one, and up to 100 with the name of its class"
            problem = f"{key!r} is not a valid key of {self._definition.name}: it must be {rule}"
            raise InvalidInputError(problem, [FieldError("key", f"must be {rule}")]) from None

    @property
    def key(self) -> str:
        """The key of this entity."""
        return self._key

    @property
    def _run_id(self) -> str:
        return f"{self._definition.name}@{self._key}"

    @property
    def signal(self) -> Self:
        """The same reference, whose calls wait for no answer: awaited, they return None when they are sent."""
        other = type(self)(self._key)
        vars(other).update(_outside=self._outside, _is_signal=True)
        return other

    def lock(self, *, lease: Duration) -> EntityLock:
        """Locks the entity for this workflow: `async with Account("alice").lock(lease="30s"): ...`.

        Meanwhile calls of others wait. The lock ends with the block, or with the lease, which begins when it is
        granted; calls in the block then raise `EntityLockLostError`. The lease is at most a day.
        """
        return EntityLock(self, seconds(lease))

    def _invoke(self, operation: Operation, /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        values = operation.signature.bind(*args, **kwargs)
        loop = running_loop()
        if loop is not None:
            frame = sys._getframe(1)
            origin = ("step", operation.step.name, frame.f_code, frame.f_lasti)
            calls = self._definition.calls
            call = calls.tell if self._is_signal else calls.call
            return Call(call(loop.host, self, operation, values, origin), loop.host.loop, origin)
        if self._outside is None:
            raise OutsideError(
                f"{type(self).__name__}({self._key!r}).{operation.name}() only works inside a workflow; elsewhere use "
                f"orchestrator.entity({type(self).__name__}, {self._key!r}).{operation.name}()"
            )
        return self._call_outside(self._outside, operation, values)

    async def _call_outside(self, outside: Outside, operation: Operation, values: dict[str, Any]) -> Any:
        return await outside(operation, values, self._is_signal)

    def __getattr__(self, name: str) -> Any:
        kind = type(self).__name__
        raise AttributeError(
            f"{kind} has no operation {name!r}; the state of an entity is only there in its operations"
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if not self._is_live:
            raise AttributeError(f"cannot set {name!r} of a reference: the operations of an entity change its state")
        if not (name in self._definition.state_names or name.startswith("_") or hasattr(type(self), name)):
            kind = type(self).__name__
            raise AttributeError(f"{kind} has no state {name!r}: annotate it in the class, with a default")
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"<entity {self._run_id}>"


class EntityLock:
    """The lock of an entity, as an asynchronous context manager."""

    def __init__(self, reference: Entity, lease: float) -> None:
        if not 0 < lease <= LONGEST_LEASE:
            raise ValueError(f"the lease of a lock must be greater than zero and at most a day, not {lease:g} s")
        self._reference = reference
        self._lease = lease
        self._id = ""

    async def __aenter__(self) -> None:
        loop = running_loop()
        if loop is None:
            raise OutsideError("lock() only works inside a workflow")
        self._id = await self._reference._definition.calls.lock(loop.host, self._reference, self._lease)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if (loop := running_loop()) is not None:
            await self._reference._definition.calls.unlock(loop.host, self._reference, self._id)


async def _lock(self: Any, lock: str, lease: float) -> None:
    """The operation of every entity that locks it, which its run carries out."""
