"""Forms from types: pydantic's JSON Schema as fields of a page, and what was typed into them as JSON again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import Json
from worldflow.engine.values.signatures import Signature

DEPTH = 3
"""Objects within objects that have fields of their own; what is deeper is typed as JSON."""

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    """Its place in the value, with dots: `order.address.city`."""
    label: str
    kind: str
    """`text`, `number`, `integer`, `boolean`, `choice`, `datetime-local`, `date` or `json`."""
    required: bool
    value: str = ""
    help: str = ""
    choices: Sequence[str] = ()
    error: str = ""


def fields_of(signature: Signature) -> list[Field]:
    """The fields of a function's arguments."""
    return [
        field
        for one in signature.parameters
        for field in fields_of_type(
            one.annotation, one.name, required=one.is_required, default=None if one.is_required else one.default
        )
    ]


def fields_of_type(annotation: Any, name: str, *, required: bool = True, default: Any = None) -> list[Field]:
    """The fields of one value."""
    try:
        schema = TypeAdapter(annotation).json_schema() if annotation is not Any else {}
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema):
        schema = {}
    return list(_fields(schema, name, required, default, schema.get("$defs", {}), 0))


def _fields(
    schema: Schema, name: str, required: bool, default: Any, definitions: Schema, depth: int
) -> Sequence[Field]:
    schema, optional = _resolved(schema, definitions)
    if schema.get("type") == "object" and schema.get("properties") and depth < DEPTH and not optional:
        needed = schema.get("required", ())
        return [
            field
            for key, part in schema["properties"].items()
            for field in _fields(
                part, f"{name}.{key}", required and key in needed, part.get("default"), definitions, depth + 1
            )
        ]
    kind, choices = _kind(schema)
    value = "" if default is None else _typed(default, kind)
    label = name.rpartition(".")[2]
    return [Field(name, label, kind, required and not optional, value, str(schema.get("description", "")), choices)]


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


def _kind(schema: Schema) -> tuple[str, Sequence[str]]:
    if values := schema.get("enum"):
        if all(isinstance(value, str) for value in values):
            return "choice", tuple(values)
        return "json", ()
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


def _typed(value: Any, kind: str) -> str:
    if kind == "boolean":
        return "true" if value else ""
    if isinstance(value, str) and kind != "json":
        return value
    try:
        return json.dumps(TypeAdapter(Any).dump_python(value, mode="json"), ensure_ascii=False)
    except ValueError:
        return ""


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
        shown.append(_with(field, value=_typed(part, field.kind)) if found and part is not None else field)
    return shown


def read(fields: Sequence[Field], given: Mapping[str, Sequence[str]]) -> dict[str, Json]:
    """The value that was typed into a form. Raises `InvalidInputError` with each field that is not of its kind."""
    value: dict[str, Json] = {}
    problems: list[FieldError] = []
    for field in fields:
        text = "\n".join(given.get(field.name, ()))
        if not text and field.kind != "boolean":
            if field.required:
                if field.kind in ("text",):
                    _put(value, field.name, "")
                else:
                    problems.append(FieldError(field.name, "required"))
            continue
        try:
            _put(value, field.name, _read(field.kind, text))
        except ValueError as error:
            problems.append(FieldError(field.name, str(error)))
    if problems:
        raise InvalidInputError("some fields are not valid", problems)
    return value


def _read(kind: str, text: str) -> Json:
    match kind:
        case "boolean":
            return text == "true"
        case "integer" | "number" | "json":
            try:
                return json.loads(text)
            except ValueError:
                raise ValueError(
                    "must be a number" if kind != "json" else 'must be JSON; text stands in quotes: "text"'
                ) from None
    return text


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
        text = "\n".join(given.get(field.name, ()))
        shown.append(_with(field, value=text, error="; ".join(error.message for error in mine)))
    return shown, left


def _with(field: Field, *, value: str, error: str = "") -> Field:
    return Field(field.name, field.label, field.kind, field.required, value, field.help, field.choices, error)
