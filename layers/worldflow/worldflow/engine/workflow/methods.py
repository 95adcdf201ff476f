"""Methods as workflows and steps.

A step's function must be found again in another process, and so must the instance whose method it is. `configured`
gives an instance a name where a module creates it, and each process that imports the module has both. A class is
configured by its own name for its class methods. A static method is a function like any other.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from worldflow.engine.errors import ConfigurationError, InvalidInputError
from worldflow.engine.here import running_loop
from worldflow.engine.ids import check_name
from worldflow.engine.workflow.definitions import Step, Workflow

T = TypeVar("T")

_Definition = Workflow[..., Any] | Step[..., Any]


@dataclass(frozen=True, slots=True)
class _Configured:
    """An instance or a class, and what its methods are as workflows and steps."""

    target: object
    name: str
    place: tuple[str, int]
    """The line that has configured it: when a module is loaded again, it does so again."""
    definitions: dict[int, _Definition]
    """By the ids of the methods."""


_configured: dict[int, _Configured] = {}
_names: dict[str, _Configured] = {}


class Method:
    """A method that is a workflow or a step of each instance, or class, that is configured.

    make: what makes a definition of a function and a name.
    add: what makes it known.
    """

    def __init__(
        self,
        function: Any,
        name: str,
        kind: str,
        make: Callable[[Callable[..., Any], str], Any],
        add: Callable[[Any], Any],
    ) -> None:
        functools.update_wrapper(self, function)
        self.of_class = isinstance(function, classmethod)
        self.function = function
        self.kind = kind
        self._name = name
        self._make = make
        self._add = add

    def __set_name__(self, owner: type, attribute: str) -> None:
        if self.of_class:
            found = _configured.get(id(owner)) or _keep(owner, owner.__name__, _line(sys._getframe(1)))
            found.definitions[id(self)] = self.configured(owner, found.name)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        target = owner if self.of_class else instance
        if target is None:
            return self
        found = _configured.get(id(target))
        if found and (definition := found.definitions.get(id(self))):
            return definition
        definition = self.made(target, self._name)
        definition.problem = self._problem(target, found)
        return definition

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        if running_loop() is not None:
            raise ConfigurationError(
                f"{self.__qualname__} is called on its class: call it on an instance that configured() has named"  # type: ignore[attr-defined]
            )
        return self.function(*args, **kwargs)

    def made(self, target: object, name: str) -> _Definition:
        """What the method is for this instance or class."""
        bound = self.function.__get__(*((None, target) if self.of_class else (target, type(target))))
        definition: _Definition = self._make(bound, name)
        return definition

    def configured(self, target: object, name: str) -> _Definition:
        """The same, made known by its name."""
        definition: _Definition = self._add(self.made(target, f"{name}.{self._name}"))
        return definition

    def _problem(self, target: object, found: _Configured | None) -> str:
        kind, what = type(target).__name__, getattr(self, "__qualname__", self._name)
        if found:
            return f"the {self.kind} {what} is not one of {found.name!r}, whose class has another of this name"
        if isinstance(target, type):
            return (
                f'the {self.kind} {what} needs a name of {target.__name__}: configured({target.__name__}, name="...")'
            )
        return (
            f"the {self.kind} {what} was called on an instance without a name, which no other process could find. "
            f'Create it where a module is imported: x = configured({kind}(...), name="x")'
        )


def method(
    function: Any,
    name: str | None,
    kind: str,
    make: Callable[[Callable[..., Any], str], Any],
    add: Callable[[Any], Any],
) -> Method | None:
    """What `@workflow` and `@step` make of a method; None for any other function."""
    if isinstance(function, classmethod):
        return Method(function, name or function.__func__.__name__, kind, make, add)
    if not inspect.isfunction(function):
        return None
    owner = function.__qualname__.rpartition(".")[0]
    first = next(iter(inspect.signature(function).parameters), None)
    if not owner or owner.endswith("<locals>") or first not in ("self", "cls"):
        return None
    if first == "cls":
        raise ConfigurationError(f"@{kind} on {function.__qualname__}: write it above @classmethod, not below")
    return Method(function, name or function.__name__, kind, make, add)


def configured(target: T, *, name: str) -> T:
    """Names an instance whose methods are workflows and steps, and returns it.

        bank = configured(Bank("https://bank.example"), name="bank")

    The step `charge` of this instance is `bank.charge`, in histories and in every process that imports the module. So
    call it where a module is imported. A class has its own name for its class methods; give a subclass if none of its
    instances is configured.

    Raises `ConfigurationError` for an invalid name, one that is taken, and an object without such methods.
    """
    where = f"configured({_type(target).__name__}, name={name!r})"
    try:
        check_name(name)
    except InvalidInputError as error:
        raise ConfigurationError(f"{where}: {error.summary}") from None
    methods, place = _methods(target), _line(sys._getframe(1))
    if not methods:
        raise ConfigurationError(f"{where}: it has no method that is a @workflow or a @step")
    _configure(target, name, place, methods)
    if not isinstance(target, type) and (of_class := _methods(owner := type(target))):
        found = _configured.get(id(owner))
        _configure(owner, found.name if found else owner.__name__, place, of_class)
    return target


def _configure(target: object, name: str, place: tuple[str, int], methods: Sequence[Method]) -> None:
    found = _keep(target, name, place)
    for one in methods:
        if id(one) not in found.definitions:
            found.definitions[id(one)] = one.configured(target, name)


def _methods(target: object) -> list[Method]:
    found: dict[str, Any] = {}
    for base in reversed(_type(target).__mro__):
        found.update(vars(base))
    return [one for one in found.values() if isinstance(one, Method) and one.of_class is isinstance(target, type)]


def _type(target: object) -> type:
    """A class itself, or that of an instance."""
    return target if isinstance(target, type) else type(target)


def _keep(target: object, name: str, place: tuple[str, int]) -> _Configured:
    known, other = _configured.get(id(target)), _names.get(name)
    if known and known.name != name:
        what = "class" if isinstance(target, type) else "instance"
        raise ConfigurationError(f"this {what} has the name {known.name!r} already, and cannot also be {name!r}")
    if known:
        return known
    if other and other.place != place and not _is_local(target) and not _is_local(other.target):
        raise ConfigurationError(
            f"the name {name!r} is taken: it was configured in line {other.place[1]} of {other.place[0]}. Give one "
            f"of the two another name"
        )
    found = _configured[id(target)] = _names[name] = _Configured(target, name, place, {})
    return found


def _is_local(target: object) -> bool:
    """Whether its class is made anew whenever a function is called, of a test mostly."""
    return "<locals>" in _type(target).__qualname__


def _line(frame: Any) -> tuple[str, int]:
    return frame.f_code.co_filename, frame.f_lineno
