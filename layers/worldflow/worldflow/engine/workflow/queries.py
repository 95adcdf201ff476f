"""Queries: what a workflow publishes, as the outside asks for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from worldflow.engine.errors import FieldError, InvalidInputError, WorldflowError
from worldflow.engine.history import AnyDecision, Json
from worldflow.engine.own_time import OwnTime
from worldflow.engine.values.serialization import ANYTHING
from worldflow.engine.values.signatures import Signature
from worldflow.engine.workflow.loop import WorkflowLoop


class Publisher(Protocol):
    """The run of a workflow that publishes."""

    published: dict[str, Any]
    loop: WorkflowLoop
    own_time: OwnTime

    @property
    def decisions(self) -> list[AnyDecision]:
        """What was decided since the last fact."""


def answer(run: Publisher, name: str, arguments: Mapping[str, Json]) -> Json:
    """What the workflow has published under `name`, as JSON.

    arguments: those of a published callable by name, as JSON.
    Raises `KeyError`, `InvalidInputError` for arguments that do not fit, and what the published callable raises.
    """
    value = run.published[name]
    if callable(value):
        value = run.loop.call(_call(value, name, arguments))
    elif arguments:
        given = [FieldError(argument, "no such parameter") for argument in arguments]
        raise InvalidInputError(f"the query {name!r} takes no arguments: a value is published, not a function", given)
    if run.decisions:
        raise WorldflowError(
            f"query {name!r} must be read-only, but its function changed the run, such as by calling a step"
        )
    with run.own_time:
        return ANYTHING.encode(value)


def _call(function: Callable[..., Any], name: str, arguments: Mapping[str, Json]) -> Callable[[], Any]:
    """The call of a published function. Raises `InvalidInputError`."""
    if not arguments and not asks(function):
        return function
    signature = Signature(function, name)
    values = signature.parse(arguments)
    return lambda: signature.call(values)


def asks(value: Any) -> bool:
    """Whether what is published is a function that cannot be called without arguments."""
    if not callable(value):
        return False
    try:
        inspect.signature(value).bind()
    except ValueError:  # it is written in C, and does not say
        return False
    except TypeError:
        return True
    return False
