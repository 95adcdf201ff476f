"""The arguments of the user's functions to JSON and back, by name, and their results."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from types import GenericAlias
from typing import Any, NamedTuple, get_type_hints

from pydantic import ValidationError

from worldflow.engine.errors import ConfigurationError, FieldError, InvalidInputError, SerializationError
from worldflow.engine.history import Json
from worldflow.engine.values.forms import Seen
from worldflow.engine.values.serialization import Codec, field_errors


def as_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that is called in the end: by a `functools.partial`, or as the `__call__` of an object."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    return type(function).__call__


def refuse_generators(function: Callable[..., Any], what: str, instead: str) -> None:
    """Raises `ConfigurationError`, with what to do instead, for a function that yields: it has no result to await."""
    made = as_function(function)
    if inspect.isasyncgenfunction(made) or inspect.isgeneratorfunction(made):
        name = getattr(made, "__qualname__", repr(made))
        kind = "an async generator" if inspect.isasyncgenfunction(made) else "a generator"
        raise ConfigurationError(f"{what}: {name} contains `yield`, which makes it {kind} without a result: {instead}")


class Parameter(NamedTuple):
    """A parameter of a function."""

    name: str
    annotation: Any
    """That of its JSON form: a list for `*args`, an object for `**kwargs`."""
    default: Any
    """`inspect.Parameter.empty` where there is none."""
    is_variadic: bool

    @property
    def is_required(self) -> bool:
        return self.default is inspect.Parameter.empty and not self.is_variadic


class Signature:
    """Carries the arguments of one function, as a JSON object of them by name, and its result."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self._function = function
        self._name = name

    @cached_property
    def _signature(self) -> inspect.Signature:
        return inspect.signature(self._function)

    @cached_property
    def _hints(self) -> dict[str, Any]:
        try:
            return get_type_hints(as_function(self._function), include_extras=True)
        except NameError as error:
            raise ConfigurationError(
                f"{self._name}: an annotation cannot be resolved: {error}. Import the name at run time, not only under "
                f"TYPE_CHECKING"
            ) from error

    @property
    def parameters(self) -> list[Parameter]:
        """Each parameter with its annotation."""
        found = []
        for name, parameter in self._signature.parameters.items():
            annotation: Any = self._hints.get(name, Any)
            is_variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            if parameter.kind is parameter.VAR_POSITIONAL:
                annotation = GenericAlias(list, (annotation,))
            elif parameter.kind is parameter.VAR_KEYWORD:
                annotation = GenericAlias(dict, (str, annotation))
            found.append(Parameter(name, annotation, parameter.default, is_variadic))
        return found

    @property
    def defaults(self) -> dict[str, Any]:
        """The arguments that a call without any has, by name, but for those that must be given."""
        bound = self._signature.bind_partial()
        bound.apply_defaults()
        return {name: list(value) if self._is_variadic(name) else value for name, value in bound.arguments.items()}

    @cached_property
    def _arguments(self) -> dict[str, Codec]:
        return {one.name: Codec(one.annotation, one.name) for one in self.parameters}

    @property
    def returns(self) -> Any:
        """The annotation of the result."""
        return self._hints.get("return", Any)

    @cached_property
    def result(self) -> Codec:
        return Codec(self.returns, f"{self._name}()")

    @cached_property
    def _simple(self) -> tuple[list[str], int] | None:
        """The names of the parameters and how many must be given, where all may be given by place and by name."""
        parameters = list(self._signature.parameters.values())
        if any(parameter.kind is not parameter.POSITIONAL_OR_KEYWORD for parameter in parameters):
            return None
        required = sum(parameter.default is parameter.empty for parameter in parameters)
        return [parameter.name for parameter in parameters], required

    def bind(self, /, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The arguments of a call, by name. Raises `TypeError` as the call itself would."""
        if self._simple and not kwargs and self._simple[1] <= len(args) <= len(self._simple[0]):
            return dict(zip(self._simple[0], args, strict=False))
        try:
            arguments = dict(self._signature.bind(*args, **kwargs).arguments)
        except TypeError as error:
            raise TypeError(f"{self._name}() {error}") from None
        # A list, as its annotation says and as it comes back.
        return {name: list(value) if self._is_variadic(name) else value for name, value in arguments.items()}

    def by_name(self, args: Sequence[Any]) -> dict[str, Any]:
        """`bind` for arguments that came from outside. Raises `InvalidInputError`."""
        try:
            return self.bind(*args)
        except TypeError as error:
            raise InvalidInputError(str(error), [FieldError("args", str(error))]) from None

    def encode(self, arguments: Mapping[str, Any]) -> dict[str, Json]:
        """The JSON form of arguments by name. Raises `SerializationError`."""
        return {name: self._arguments[name].encode(value) for name, value in arguments.items()}

    def decode(self, values: Mapping[str, Json]) -> dict[str, Any]:
        """The arguments by name of which `values` is the JSON form. Raises `InvalidInputError` with every misfit."""
        return self._read(values, Codec.decode)

    def parse(self, values: Mapping[str, Json]) -> dict[str, Any]:
        """Arguments by name out of JSON that people have written. Raises `InvalidInputError` with every misfit."""
        return self._read(values, Codec.parse)

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by name out of Python values that may be near them, such as a dict for a model.

        Raises `InvalidInputError` with every misfit.
        """
        return self._read(values, Codec.validate)

    def is_form(self, arguments: Mapping[str, Any], values: Json, seen: Seen | None = None) -> bool:
        """Whether `values` is the JSON form of arguments by name. `seen` is that of `Codec.is_form`."""
        if not isinstance(values, dict) or values.keys() != arguments.keys():
            return False
        for name, value in arguments.items():
            codec = self._arguments[name]
            if not codec.is_form(value, values[name], seen):
                return False
        return True

    def in_order(self, arguments: Mapping[str, Any]) -> list[Any]:
        """The arguments of a call, in the order of the parameters."""
        given = self.defaults | dict(arguments)
        return [given[one.name] for one in self.parameters if one.name in given]

    def call(self, arguments: Mapping[str, Any]) -> Any:
        """Calls the function with arguments by name."""
        args, kwargs = self.spread(arguments)
        return self._function(*args, **kwargs)

    def spread(self, arguments: Mapping[str, Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """Splits arguments by name into the positional and keyword arguments of a call."""
        if self._simple and len(arguments) == len(self._simple[0]):
            # By place: a decorator in between may have other names for them.
            return [arguments[name] for name in self._simple[0]], {}
        bound = inspect.BoundArguments(self._signature, dict(arguments))
        bound.apply_defaults()  # what follows a gap could only be given by name, which positional-only ones are not
        return bound.args, bound.kwargs

    def _read(self, values: Mapping[str, Any], read: Callable[[Codec, Any], Any]) -> dict[str, Any]:
        problems: list[FieldError] = []
        if values.keys() != self._arguments.keys():
            values = self._nested(values)
            problems += self._misfits(values)
        arguments: dict[str, Any] = {}
        for name, codec in self._arguments.items():
            if name in values:
                try:
                    arguments[name] = read(codec, values[name])
                except ValidationError as error:
                    problems += field_errors(error, name)
                except SerializationError as error:
                    problems.append(FieldError(error.path, str(error)))
        if problems:
            shape = str(self._signature.replace(return_annotation=inspect.Signature.empty))
            raise InvalidInputError(f"the input does not fit {self._name}{shape}", problems)
        return arguments

    def _nested(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """`values` as `bind` has them: what a call gives to `**named` by itself is in an object of that name."""
        parameters = self._signature.parameters
        unknown = {name: value for name, value in values.items() if name not in parameters}
        named = next((name for name, each in parameters.items() if each.kind is each.VAR_KEYWORD), None)
        if named is None or not unknown:
            return values
        nested = values.get(named, {})
        if not isinstance(nested, Mapping):
            nested = {named: nested}  # one of them has the name of their parameter
        known = {name: value for name, value in values.items() if name in parameters}
        return {**known, named: {**nested, **unknown}}

    def _misfits(self, values: Mapping[str, Any]) -> Iterator[FieldError]:
        parameters = self._signature.parameters
        for name in values:
            if name not in parameters:
                yield FieldError(name, "no such parameter")
        for one in self.parameters:
            if one.is_required and one.name not in values:
                yield FieldError(one.name, "required, but missing")

    def _is_variadic(self, name: str) -> bool:
        return self._signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
