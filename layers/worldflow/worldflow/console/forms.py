"""Forms from types: pydantic's JSON Schema as fields of a page, and what was typed into them as JSON again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import Json
from worldflow.engine.values.signatures import Signature
from worldflow.presentation.schemas import input_schema, schema_of

DEPTH = 3
"""Objects within objects that have fields of their own; what is deeper is typed as JSON."""

Schema = Mapping[str, Any]

NO_JSON = 'must be JSON; text stands in quotes: "text"'

UNSET: Any = object()
"""No value, where null is one."""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    """Its place in the value, with dots: `order.address.city`. What a form has besides begins with a dot: `.token`."""
    label: str
    kind: str
    """`text`, `number`, `integer`, `boolean`, `date`, `json`, `choice` of texts or `value`: one of JSON values."""
    required: bool
    value: str = ""
    help: str = ""
    choices: Sequence[str] = ()
    error: str = ""
    cleared: Json = UNSET
    """What an empty field stands for; without, its part of the value is left out."""


def fields_of(signature: Signature) -> list[Field]:
    """The fields of a function's arguments."""
    schema = input_schema(signature)
    needed = schema.get("required", ())
    return [
        field
        for name, part in schema["properties"].items()
        for field in _fields(part, name, name in needed, part.get("default"), schema.get("$defs", {}), 0)
    ]


def fields_of_type(annotation: Any, name: str) -> list[Field]:
    """The fields of one value."""
    schema = schema_of(annotation)
    return list(_fields(schema, name, True, None, schema.get("$defs", {}), 0))


def _fields(
    schema: Schema, name: str, required: bool, default: Json, definitions: Schema, depth: int
) -> Sequence[Field]:
    schema, nullable = _resolved(schema, definitions)
    properties = schema.get("properties", {})
    is_named = properties and "." not in "".join(properties)
    if schema.get("type") == "object" and is_named and depth < DEPTH and not nullable:
        needed = schema.get("required", ())
        given = default if isinstance(default, dict) else {}
        return [
            field
            for key, part in properties.items()
            for field in _fields(
                part,
                f"{name}.{key}",
                required and key in needed,
                given.get(key, part.get("default")),
                definitions,
                depth + 1,
            )
        ]
    kind, choices = _kind(schema, nullable)
    value = "" if default is None else _typed(default, kind)
    cleared = UNSET
    if nullable and (required or value):
        cleared = None
    elif value and kind == "text" and "format" not in schema:
        cleared = ""
    label, about = name.rpartition(".")[2], str(schema.get("description", ""))
    return [Field(name, label, kind, required and not nullable, value, about, choices, cleared=cleared)]


def _resolved(schema: Schema, definitions: Schema) -> tuple[Schema, bool]:
    """A schema without references, and whether null may stand in its place."""
    optional = False
    for _ in range(10):
        if "$ref" in schema:
            schema = {
                **definitions.get(schema["$ref"].rpartition("/")[2], {}),
                **{k: v for k, v in schema.items() if k != "$ref"},
            }
        elif len(schema.get("allOf", ())) == 1:
            schema = {**schema["allOf"][0], **{k: v for k, v in schema.items() if k != "allOf"}}
        elif "anyOf" in schema and {"type": "null"} in schema["anyOf"] and len(schema["anyOf"]) == 2:
            optional = True
            schema = next(part for part in schema["anyOf"] if part != {"type": "null"})
        else:
            break
    return schema, optional


def _kind(schema: Schema, nullable: bool) -> tuple[str, Sequence[str]]:
    if values := schema.get("enum"):
        if all(isinstance(value, str) for value in values):
            return "choice", tuple(values)
        return "value", tuple(json.dumps(value, ensure_ascii=False) for value in values)
    if nullable and schema.get("type") == "boolean":
        return "value", ("true", "false")
    match schema.get("type"), schema.get("format"):
        case "string", "date-time":
            return "text", ()
        case "string", "date":
            return "date", ()
        case "string", _:
            return "text", ()
        case "integer", _:
            return "integer", ()
        case "number", _:
            return "number", ()
        case "boolean", _:
            return "boolean", ()
    return "json", ()


def _typed(value: Json, kind: str) -> str:
    if kind == "boolean":
        return "true" if value else ""
    if isinstance(value, str) and kind not in ("json", "value"):
        return value
    return json.dumps(value, ensure_ascii=False)


def filled(fields: Sequence[Field], value: Json) -> list[Field]:
    """Fields with the parts of a value that is there, such as the input of a run."""
    shown = []
    for field in fields:
        part, found = value, True
        for key in field.name.split("."):
            if not isinstance(part, dict) or key not in part:
                found = False
                break
            part = part[key]
        shown.append(replace(field, value=_typed(part, field.kind)) if found and part is not None else field)
    return shown


def read(fields: Sequence[Field], given: Mapping[str, Sequence[str]]) -> dict[str, Json]:
    """The value that was typed into a form. Raises `InvalidInputError` with each field that is not of its kind."""
    value: dict[str, Json] = {}
    problems: list[FieldError] = []
    for field in fields:
        text = _text(field, given)
        if not text and field.kind != "boolean":
            if field.required and field.kind == "text":
                _put(value, field.name, "")
            elif field.required:
                problems.append(FieldError(field.name, "required"))
            elif field.cleared is not UNSET and field.name in given:
                _put(value, field.name, field.cleared)
            continue
        try:
            _put(value, field.name, _read(field.kind, text))
        except ValueError as error:
            problems.append(FieldError(field.name, str(error)))
    if problems:
        raise InvalidInputError("some fields are not valid", problems)
    return value


def _text(field: Field, given: Mapping[str, Sequence[str]]) -> str:
    return "\n".join(given.get(field.name, ())).replace("\r\n", "\n")  # which is how browsers send lines


def _read(kind: str, text: str) -> Json:
    match kind:
        case "boolean":
            return text == "true"
        case "integer" | "number":
            return parse_json(text, "must be a number")
        case "json" | "value":
            return parse_json(text, NO_JSON)
    return text


def parse_json(text: str, problem: str) -> Json:
    """Raises `ValueError` with a problem."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(problem) from None


def _put(value: dict[str, Json], name: str, part: Json) -> None:
    *path, last = name.split(".")
    for key in path:
        value = value.setdefault(key, {})
    value[last] = part


def with_errors(
    fields: Sequence[Field], given: Mapping[str, Sequence[str]], errors: Sequence[FieldError]
) -> tuple[list[Field], list[FieldError]]:
    """Fields as they were filled in, each with what is wrong with it; and what is wrong with none of them."""
    shown, left = [], list(errors)
    for field in fields:
        mine = [
            error
            for error in left
            if error.field == field.name or error.field.startswith((f"{field.name}.", f"{field.name}["))
        ]
        left = [error for error in left if error not in mine]
        text = _text(field, given)
        shown.append(replace(field, value=text, error="; ".join(error.message for error in mine)))
    return shown, left
