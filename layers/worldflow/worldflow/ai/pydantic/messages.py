"""Messages and definitions of tools as JSON, without what they are by default: most of their fields say nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator
from typing import Any, get_args
from weakref import WeakKeyDictionary

from pydantic_ai.durable_exec import JSON_CODEC
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    ModelResponsePartDelta,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition
from pydantic_core import PydanticSerializationError

from worldflow.ai.pydantic.options import METADATA
from worldflow.engine.errors import SerializationError
from worldflow.engine.here import COLLECTOR, running_loop
from worldflow.engine.history import Json


def _members(union: Any) -> Iterator[type[Any]]:
    """The dataclasses of a union, however it is annotated."""
    if isinstance(union, type) and dataclasses.is_dataclass(union):
        yield union
    for part in get_args(union):
        yield from _members(part)


def _nulls(*classes: type[Any]) -> frozenset[str]:
    """The fields that are null by default in all of these dataclasses."""
    first, *others = ({field.name for field in dataclasses.fields(cls) if field.default is None} for cls in classes)
    return frozenset(first.intersection(*others))


def _nulls_by(kind: str, union: Any) -> dict[str, frozenset[str]]:
    """The same of a union's dataclasses, by the field that tells them apart."""
    classes: dict[str, list[type[Any]]] = {}
    for cls in _members(union):
        classes.setdefault(vars(cls).get(kind) or getattr(cls, kind), []).append(cls)
    return {name: _nulls(*same) for name, same in classes.items()}


_OF_MESSAGES = {"request": _nulls(ModelRequest), "response": _nulls(ModelResponse)}
_OF_PARTS = _nulls_by("part_kind", ModelRequestPart) | _nulls_by("part_kind", ModelResponsePart)
_OF_DELTAS = _nulls_by("part_delta_kind", ModelResponsePartDelta)
_OF_TOOLS = _nulls(ToolDefinition)
_PARAMETERS = JSON_CODEC.dump(ModelRequestParameters, ModelRequestParameters())


def dump_as(type: Any, value: Any, what: str) -> Json:
    """The JSON of a value of Pydantic AI's. Raises `SerializationError`."""
    try:
        return JSON_CODEC.dump(type, value)
    except PydanticSerializationError as error:
        raise SerializationError(str(error), what) from None


def load_as(type: Any, form: Json) -> Any:
    return JSON_CODEC.load(type, form)


def _brief(form: dict[str, Json], nulls: Container[str]) -> dict[str, Json]:
    """`form` without the nulls that these fields are by default."""
    return {name: value for name, value in form.items() if value is not None or name not in nulls}


def _brief_part(part: dict[str, Json]) -> dict[str, Json]:
    return _brief(part, _OF_PARTS.get(part["part_kind"], ()))


# --- messages --------------------------------------------------------------------------------------------------------


def dump_messages(messages: list[ModelMessage]) -> list[Json]:
    known = _of_a_replay()
    if known is None:
        return [form for _, form in _dumped(messages)]
    known |= {id(message): (message, form) for message, form in _dumped([m for m in messages if id(m) not in known])}
    return [known[id(message)][1] for message in messages]


def _dumped(messages: list[ModelMessage]) -> Iterator[tuple[ModelMessage, Json]]:
    forms = dump_as(list[ModelMessage], messages, "messages")
    return zip(messages, map(brief_message, forms), strict=True)


_Known = dict[int, tuple[ModelMessage, Json]]
_known: WeakKeyDictionary[Any, _Known] = WeakKeyDictionary()


def _of_a_replay() -> _Known | None:
    """The messages of earlier requests, by their identities, where a replay makes the requests again: nobody gets what
    it makes, which is compared with the history by identity, too (`engine/values/forms.py`). Tests look at all.
    """
    loop = running_loop()
    if loop is None or loop is COLLECTOR:
        return None
    if not loop.host.replaying or loop.host.strict:
        _known.pop(loop.host, None)
        return None
    return _known.setdefault(loop.host, {})


def load_messages(forms: list[Json]) -> list[ModelMessage]:
    messages: list[ModelMessage] = load_as(list[ModelMessage], forms)
    return messages


def dump_response(response: ModelResponse) -> Json:
    return brief_message(dump_as(ModelResponse, response, "response"))


def brief_message(form: dict[str, Json]) -> dict[str, Json]:
    """A message without what its fields are by default."""
    brief = _brief(form, _OF_MESSAGES[form["kind"]])
    brief["parts"] = [_brief_part(part) for part in form["parts"]]
    if "usage" in brief:
        brief["usage"] = {name: count for name, count in form["usage"].items() if count}
    return brief


def brief_event(form: dict[str, Json]) -> dict[str, Json]:
    """An event of an agent without what its fields are by default."""
    if isinstance(part := form.get("part"), dict) and "part_kind" in part:
        return form | {"part": _brief_part(part)}
    if isinstance(delta := form.get("delta"), dict) and "part_delta_kind" in delta:
        return form | {"delta": _brief(delta, _OF_DELTAS.get(delta["part_delta_kind"], ()))}
    return form


# --- tools -----------------------------------------------------------------------------------------------------------


def dump_parameters(parameters: ModelRequestParameters) -> Json:
    bare = dataclasses.replace(parameters, function_tools=[_bare(tool) for tool in parameters.function_tools])
    form = dump_as(ModelRequestParameters, bare, "model_request_parameters")
    for kind in ("function_tools", "output_tools"):
        form[kind] = [_brief(tool, _OF_TOOLS) for tool in form[kind]]
    for name in form:
        if isinstance(getattr(parameters, name), (set, frozenset)):
            form[name] = sorted(form[name])  # which another process has in another order
    return {name: value for name, value in form.items() if value != _PARAMETERS.get(name)}


def dump_definition(tool: ToolDefinition) -> Json:
    return _brief(dump_as(ToolDefinition, _bare(tool), f"the definition of the tool {tool.name!r}"), _OF_TOOLS)


def _bare(tool: ToolDefinition) -> ToolDefinition:
    """A tool's definition without the options of its step, which are no JSON, and which only the workflow needs."""
    if METADATA not in (tool.metadata or {}):
        return tool
    metadata = {name: value for name, value in (tool.metadata or {}).items() if name != METADATA}
    return dataclasses.replace(tool, metadata=metadata or None)
