"""Generators as steps: each value that one yields goes to a stream of the run, and the list of them is its result."""

from __future__ import annotations

import collections.abc as abc
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import aclosing, closing
from types import GenericAlias
from typing import Any, get_args, get_origin, get_type_hints

from worldflow.engine.errors import ConfigurationError, InvalidInputError
from worldflow.engine.ids import check_name
from worldflow.engine.values.signatures import Signature, as_function
from worldflow.engine.workflow.definitions import Step
from worldflow.engine.workflow.step_info import current_step
from worldflow.engine.workflow.streams import open_stream

_ITERATED = (
    abc.AsyncGenerator,
    abc.AsyncIterator,
    abc.AsyncIterable,
    abc.Generator,
    abc.Iterator,
    abc.Iterable,
)
"""What a generator may be annotated to return; the first argument is the type of its values."""


class _Values(Signature):
    """The signature of a generator whose values are collected."""

    def __init__(
        self, function: Callable[..., Any], name: str, stream: str, returns: Callable[[list[Any]], Any]
    ) -> None:
        super().__init__(function, name)
        self._stream = stream
        self._returns = returns
        self.is_async = inspect.isasyncgenfunction(as_function(function))

    @functools.cached_property
    def _item(self) -> Any:
        returned = self._hints.get("return", Any)
        arguments = get_args(returned)
        return arguments[0] if get_origin(returned) in _ITERATED and arguments else Any

    @property
    def returns(self) -> Any:
        if self._returns is list:
            return GenericAlias(list, (self._item,))
        if isinstance(self._returns, type):
            return self._returns
        try:
            return get_type_hints(as_function(self._returns)).get("return", Any)
        except (NameError, TypeError):  # of code that is not the user's
            return Any

    def call(self, arguments: Mapping[str, Any]) -> Any:
        return self.collected(super().call(arguments))

    def collected(self, values: Any) -> Any:
        """What is returned for what a generator yields, or its coroutine."""
        return self._collected_async(values) if self.is_async else self._collected(values)

    async def _collected_async(self, values: AsyncGenerator[Any, None]) -> Any:
        collected: list[Any] = []
        async with aclosing(values):
            if not _writes():
                collected += [value async for value in values]
            else:
                async with open_stream(self._stream, self._item) as out:
                    async for value in values:
                        await out.write(value)
                        collected.append(value)
        return self._returns(collected)

    def _collected(self, values: Generator[Any, None, Any]) -> Any:
        collected: list[Any] = []
        with closing(values):
            if not _writes():
                collected += values
            else:
                with open_stream(self._stream, self._item) as out:
                    for value in values:
                        out.write(value)
                        collected.append(value)
        return self._returns(collected)


def _writes() -> bool:
    """Whether the stream is a run's: a step that is called anywhere else only returns its result."""
    return current_step.get(None) is not None


def yielding_step(
    function: Callable[..., Any],
    name: str,
    stream: str,
    returns: Callable[[list[Any]], Any],
    options: Mapping[str, Any],
) -> Step[..., Any]:
    """The step that writes what a generator yields to a stream. Raises `ConfigurationError`."""
    where = f"@step(stream={stream!r}) on {name}"
    generator = as_function(function)
    if not (inspect.isasyncgenfunction(generator) or inspect.isgeneratorfunction(generator)):
        raise ConfigurationError(
            f"{where}: a stream takes what a generator yields, and this function contains no `yield`. Yield "
            f"the values, or write them with open_stream()"
        )
    if not callable(returns):
        raise ConfigurationError(f"{where}: returns must be a function of the list of values, not {returns!r}")
    try:
        check_name(stream, "stream")
    except InvalidInputError as error:
        raise ConfigurationError(f"{where}: {error.summary}") from None
    signature = _Values(function, name, stream, returns)
    made: Step[..., Any] = Step(_called(function, generator, signature), name, **options)
    made.signature = signature
    return made


def _called(function: Callable[..., Any], generator: Callable[..., Any], signature: _Values) -> Callable[..., Any]:
    """The function of the step, for code that calls it."""

    async def collect_async(*args: Any, **kwargs: Any) -> Any:
        return await signature.collected(function(*args, **kwargs))

    def collect(*args: Any, **kwargs: Any) -> Any:
        return signature.collected(function(*args, **kwargs))

    called: Callable[..., Any] = collect_async if signature.is_async else collect
    functools.update_wrapper(called, function, updated=["__dict__"] if inspect.isroutine(function) else [])
    called.__module__, called.__qualname__ = generator.__module__, generator.__qualname__
    return called
