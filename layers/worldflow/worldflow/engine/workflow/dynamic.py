"""Dynamic workflows and steps: one function behind all names that no other has.

    @workflow(dynamic=True)
    async def anything(arguments: dict[str, Any]) -> Any: ...

Its one parameter takes the arguments, by name. A run that began with the dynamic workflow has the version `DYNAMIC` and
stays with it; a run that began with another definition never gets it, even if the code of that is missing.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Self, TypeVar

from worldflow.engine.errors import ConfigurationError, FieldError, InvalidInputError
from worldflow.engine.history import Json
from worldflow.engine.ids import check_name
from worldflow.engine.values.forms import Seen
from worldflow.engine.values.serialization import Codec
from worldflow.engine.values.signatures import Signature

_TAKES_ONE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Nameable:
    """A workflow or a step, which may be dynamic."""

    name: str
    signature: Signature
    is_dynamic = False

    def named(self, name: str) -> Self:
        """The workflow or the step of this name, to be called with its arguments by name, as one mapping.

        Where the call runs, it is the definition of that name if there is one, and otherwise this one. The options are
        those of this one.
        Raises `ConfigurationError` for one that is not dynamic.
        """
        if not self.is_dynamic:
            raise ConfigurationError(f"{self!r} has its own name: only what is dynamic=True can be called by others")
        check_name(name)
        named = copy.copy(self)
        named.name = name
        return named


D = TypeVar("D", bound=Nameable)
T = TypeVar("T")


class WholeSignature(Signature):
    """The signature of a function whose one parameter takes all arguments, by name."""

    @cached_property
    def _whole(self) -> str:
        return next(iter(self._signature.parameters))

    def bind(self, /, *args: Any, **kwargs: Any) -> dict[str, Any]:
        given = super().bind(*args, **kwargs).get(self._whole, {})
        if not isinstance(given, Mapping):
            raise TypeError(f"{self._whole} must be a mapping of arguments by name, not of type {type(given).__name__}")
        return dict(given)

    def encode(self, arguments: Mapping[str, Any]) -> dict[str, Json]:
        values: dict[str, Json] = super().encode({self._whole: arguments})[self._whole]
        return values

    def is_form(self, arguments: Mapping[str, Any], values: Json, seen: Seen | None = None) -> bool:
        return super().is_form({self._whole: arguments}, {self._whole: values}, seen)

    def in_order(self, arguments: Mapping[str, Any]) -> list[Any]:
        return [arguments]

    def call(self, arguments: Mapping[str, Any]) -> Any:
        return super().call({self._whole: arguments})

    def _read(self, values: Mapping[str, Any], read: Callable[[Codec, Any], Any]) -> dict[str, Any]:
        try:
            found = super()._read({self._whole: values}, read)[self._whole]
        except InvalidInputError as error:
            inside = f"{self._whole}."
            fields = [FieldError(field.field.removeprefix(inside), field.message) for field in error.fields]
            raise InvalidInputError(error.summary, fields) from None
        if not isinstance(found, dict):
            problem = "must be a mapping, such as dict[str, Any]"
            raise ConfigurationError(f"{self._name}: the annotation of its parameter {self._whole} {problem}")
        return found


def make_dynamic(definition: D, function: Callable[..., Any]) -> D:
    """Makes a workflow or a step take all arguments as one mapping."""
    definition.is_dynamic, definition.signature = True, WholeSignature(function, definition.name)
    return definition


def dynamic_only(kind: str, refused: Mapping[str, object], decorate: Callable[[Any], T]) -> Callable[[Any], T]:
    """`decorate`, after a check that raises `ConfigurationError` for a function that cannot be dynamic.

    refused: the values of options that a dynamic definition cannot have, by name.
    """

    def check(function: Any) -> T:
        if given := [option for option, value in refused.items() if value]:
            raise ConfigurationError(f"@{kind}(dynamic=True) takes no {given[0]}: it serves every name")
        parameters = list(inspect.signature(function).parameters.values()) if callable(function) else []
        if len(parameters) != 1 or parameters[0].kind not in _TAKES_ONE or parameters[0].name in ("self", "cls"):
            raise ConfigurationError(
                f"@{kind}(dynamic=True) needs a function with one parameter, which takes the arguments by name, such "
                f"as `async def anything(arguments: dict[str, Any])`, not {function!r}"
            )
        return decorate(function)

    return check
