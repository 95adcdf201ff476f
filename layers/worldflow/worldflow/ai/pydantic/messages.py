"""Messages and definitions of tools as JSON, without what they are by default: most of their fields say nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from pydantic_ai.durable_exec import JSON_CODEC
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition
from pydantic_core import PydanticSerializationError

from worldflow.ai.pydantic.options import METADATA
from worldflow.engine.errors import SerializationError
from worldflow.engine.history import Json

_DATA = ("content", "args")
"""Fields of a part that may be null."""


def dump_as(type: Any, value: Any, what: str) -> Json:
    """The JSON of a value of Pydantic AI's. Raises `SerializationError`."""
    try:
        return JSON_CODEC.dump(type, value)
    except PydanticSerializationError as error:
        raise SerializationError(str(error), what) from None


def load_as(type: Any, form: Json) -> Any:
    return JSON_CODEC.load(type, form)


def _brief(form: dict[str, Json], data: Collection[str] = ()) -> dict[str, Json]:
    """`form` without its nulls, which are what its fields are by default, but for those in `data`."""
    return {name: value for name, value in form.items() if value is not None or name in data}


# --- messages --------------------------------------------------------------------------------------------------------


def dump_messages(messages: list[ModelMessage]) -> list[Json]:
    return [brief_message(form) for form in dump_as(list[ModelMessage], messages, "messages")]


def load_messages(forms: list[Json]) -> list[ModelMessage]:
    messages: list[ModelMessage] = load_as(list[ModelMessage], forms)
    return messages


def dump_response(response: ModelResponse) -> Json:
    return brief_message(dump_as(ModelResponse, response, "response"))


def brief_message(form: dict[str, Json]) -> dict[str, Json]:
    """A message without what its fields are by default."""
    brief = _brief(form)
    brief["parts"] = [_brief(part, _DATA) for part in form["parts"]]
    if "usage" in brief:
        brief["usage"] = {name: count for name, count in form["usage"].items() if count}
    return brief


# --- tools -----------------------------------------------------------------------------------------------------------


def dump_parameters(parameters: ModelRequestParameters) -> Json:
    bare = dataclasses.replace(parameters, function_tools=[_bare(tool) for tool in parameters.function_tools])
    form = dump_as(ModelRequestParameters, bare, "model_request_parameters")
    for kind in ("function_tools", "output_tools"):
        form[kind] = [_brief(tool) for tool in form[kind]]
    return form


def dump_definition(tool: ToolDefinition) -> Json:
    return _brief(dump_as(ToolDefinition, _bare(tool), f"the definition of the tool {tool.name!r}"))


def _bare(tool: ToolDefinition) -> ToolDefinition:
    """A tool's definition without the options of its step, which are no JSON, and which only the workflow needs."""
    if METADATA not in (tool.metadata or {}):
        return tool
    metadata = {name: value for name, value in (tool.metadata or {}).items() if name != METADATA}
    return dataclasses.replace(tool, metadata=metadata or None)
