"""JSON Schemas of what workflows take, return and are sent, for those who write it: forms and assistants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import PydanticUserError, TypeAdapter
from pydantic_core import PydanticSerializationError, to_jsonable_python

from worldflow.engine.values.signatures import Signature

Schema = dict[str, Any]


def input_schema(signature: Signature) -> Schema:
    """The schema of a function's arguments by name. Those that need not be given have their defaults."""
    parameters = signature.parameters
    properties, definitions = _schemas({one.name: one.annotation for one in parameters})
    for one in parameters:
        if not one.is_required and not one.is_variadic:
            try:
                properties[one.name] = {**properties[one.name], "default": to_jsonable_python(one.default)}
            except PydanticSerializationError:
                continue
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required := [one.name for one in parameters if one.is_required]:
        schema["required"] = required
    return {**schema, "$defs": definitions} if definitions else schema


def schema_of(annotation: Any) -> Schema:
    """The schema of the values of an annotation. What JSON Schema has no words for may be anything."""
    try:
        return TypeAdapter(annotation).json_schema()
    except PydanticUserError:
        return {}


def _schemas(annotations: Mapping[str, Any]) -> tuple[dict[str, Schema], Schema]:
    """Schemas by name, and the definitions that they share."""
    found: dict[str, Schema] = {name: {} for name in annotations}
    adapters = []
    for name, annotation in annotations.items():
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(annotation)
            adapter.json_schema()
        except PydanticUserError:
            continue
        adapters.append((name, adapter))
    keyed, rest = TypeAdapter.json_schemas([(name, "validation", adapter) for name, adapter in adapters])
    found |= {name: schema for (name, _), schema in keyed.items()}
    return found, rest.get("$defs", {})
