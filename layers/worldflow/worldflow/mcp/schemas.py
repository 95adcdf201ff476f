"""JSON Schemas of what workflows take, return and are sent."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import GenericAlias
from typing import Any, get_type_hints

from pydantic import PydanticUserError, TypeAdapter
from pydantic_core import PydanticSerializationError, to_jsonable_python

Schema = dict[str, Any]


def input_schema(function: Callable[..., Any]) -> Schema:
    """The schema of a workflow's input: its arguments by name."""
    hints = get_type_hints(function, include_extras=True)
    annotations: dict[str, Any] = {}
    required: list[str] = []
    defaults: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        annotations[name] = hints.get(name, Any)
        if parameter.kind is parameter.VAR_POSITIONAL:
            annotations[name] = GenericAlias(list, (annotations[name],))
        elif parameter.kind is parameter.VAR_KEYWORD:
            annotations[name] = GenericAlias(dict, (str, annotations[name]))
        elif parameter.default is parameter.empty:
            required.append(name)
        else:
            defaults[name] = parameter.default
    properties, definitions = _schemas(annotations)
    for name, default in defaults.items():
        try:
            properties[name] = {**properties[name], "default": to_jsonable_python(default)}
        except PydanticSerializationError:
            continue
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    return {**schema, "$defs": definitions} if definitions else schema


def result_schema(function: Callable[..., Any]) -> Schema:
    """The schema of a workflow's result."""
    return schema_of(get_type_hints(function, include_extras=True).get("return", Any))


def schema_of(annotation: Any) -> Schema:
    """The schema of the values of an annotation."""
    try:
        return TypeAdapter(annotation).json_schema()
    except PydanticUserError:
        return {}


def _schemas(annotations: Mapping[str, Any]) -> tuple[dict[str, Schema], Schema]:
    """Schemas by name, and the definitions that they share. What JSON Schema has no words for may be anything."""
    found: dict[str, Schema] = {}
    adapters = []
    for name, annotation in annotations.items():
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        try:
            adapter.json_schema()
        except PydanticUserError:
            found[name] = {}
        else:
            adapters.append((name, adapter))
    keyed, rest = TypeAdapter.json_schemas([(name, "validation", adapter) for name, adapter in adapters])
    found |= {name: schema for (name, _), schema in keyed.items()}
    return {name: found[name] for name in annotations}, rest.get("$defs", {})
