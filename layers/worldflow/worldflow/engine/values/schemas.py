"""From the core schemas of pydantic to shapes: see `shapes.py`."""

from __future__ import annotations

import dataclasses
import datetime as dates
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from worldflow.engine.values.records import NOTHING, Field, Record, Root
from worldflow.engine.values.shapes import ANYTHING, Dict, Items, Leaf, Nullable, Reference, Shape, Tuple
from worldflow.engine.values.unions import Checked, Union

Schema = Mapping[str, Any]

_LEAVES: dict[str, type] = {
    "int": int,
    "float": float,
    "bool": bool,
    "none": type(None),
    "bytes": bytes,
    "date": dates.date,
    "time": dates.time,
    "datetime": dates.datetime,
    "timedelta": dates.timedelta,
    "decimal": Decimal,
    "uuid": UUID,
    "complex": complex,
}
_PROMISED = frozenset({"int", "bool", "none", "uuid", "bytes", "decimal"})
_BY_EQUALITY = frozenset({"float", "date", "timedelta", "complex"})
_COLLECTIONS = {"list": list, "set": set, "frozenset": frozenset, "generator": list}
_CHANGES_OF_TEXT = ("strip_whitespace", "to_lower", "to_upper")
_FUNCTIONS = ("function-before", "function-after", "function-wrap")
_ALWAYS_THE_SAME = (list, dict, set, frozenset, tuple, str, int)


def shape_of(schema: Schema) -> Shape:
    """The shape of what a core schema reads."""
    reader = _Reader()
    shape = reader.read(schema, {}, False)
    if reader.ambiguous:
        shape.ambiguous = True
    return shape


class _Reader:
    """Makes shapes of the parts of one schema.

    config: that of the model around a part.
    doubt: whether the user's code, such as a validator, may change what pydantic reads there.
    """

    def __init__(self) -> None:
        self._definitions: dict[str, Schema] = {}
        self._references: dict[tuple[str, bool], Reference] = {}
        self.ambiguous = False

    def read(self, schema: Schema, config: Schema, doubt: bool) -> Shape:
        doubt = doubt or "serialization" in schema
        kind = schema["type"]
        match kind:
            case "any":
                return ANYTHING
            case "str":
                changes = any(schema.get(name, config.get(f"str_{name}")) for name in _CHANGES_OF_TEXT)
                return Leaf(str, promised=not (changes or doubt))
            case "literal":
                return Leaf(*{type(value) for value in schema["expected"]})
            case "enum":
                return Leaf(schema["cls"], by_equality=True)
            case "nullable":
                return Nullable(self.read(schema["schema"], config, doubt))
            case "default":
                return self.read(schema["schema"], config, doubt)
            case "list" | "set" | "frozenset" | "generator":
                item = self._part(schema, "items_schema", config, doubt)
                return Items(_COLLECTIONS[kind], item, lazy=kind == "generator")
            case "dict":
                return Dict(*(self._part(schema, part, config, doubt) for part in ("keys_schema", "values_schema")))
            case "tuple":
                items = [self.read(item, config, doubt) for item in schema["items_schema"]]
                return Tuple(tuple, items, schema.get("variadic_item_index"))
            case "call":
                return self._call(schema, config, doubt)
            case "union":
                choices = [choice[0] if isinstance(choice, tuple) else choice for choice in schema["choices"]]
                return Union([self.read(choice, config, doubt) for choice in choices])
            case "tagged-union":
                return Union([self.read(choice, config, doubt) for choice in schema["choices"].values()])
            case "function-before" | "function-after" | "function-wrap":
                return Checked(self.read(schema["schema"], config, True))
            case "json-or-python":
                return self.read(schema["json_schema"], config, doubt)
            case "lax-or-strict":
                return Checked(self.read(schema["lax_schema"], config, True))
            case "definitions":
                self._definitions.update({definition["ref"]: definition for definition in schema["definitions"]})
                return self.read(schema["schema"], config, doubt)
            case "definition-ref":
                return self._reference(schema["schema_ref"], config, doubt)
            case "model" | "dataclass" | "typed-dict":
                return self._record(schema, config, doubt)
        if kind in _LEAVES:
            promised = kind in _PROMISED and not doubt
            return Leaf(_LEAVES[kind], promised=promised, by_equality=kind in _BY_EQUALITY)
        return Shape()

    def _part(self, schema: Schema, name: str, config: Schema, doubt: bool) -> Shape:
        return self.read(schema[name], config, doubt) if name in schema else ANYTHING

    def _call(self, schema: Schema, config: Schema, doubt: bool) -> Shape:
        made, arguments = schema["function"], schema["arguments_schema"]
        if not (isinstance(made, type) and issubclass(made, tuple) and arguments["type"] == "arguments"):
            return Shape()
        return Tuple(made, [self.read(item["schema"], config, doubt) for item in arguments["arguments_schema"]])

    def _reference(self, name: str, config: Schema, doubt: bool) -> Shape:
        reference = self._references.get((name, doubt))
        if reference is None:
            reference = self._references[name, doubt] = Reference()
            reference.resolve(self.read(self._definitions[name], config, doubt))
        return reference

    def _record(self, schema: Schema, config: Schema, doubt: bool) -> Shape:
        config = schema.get("config", config)
        if schema.get("root_model"):
            return Root(schema["cls"], self.read(schema["schema"], config, doubt))
        doubt = doubt or bool(schema.get("post_init") or schema.get("custom_init"))
        inner = schema
        while inner["type"] not in ("model-fields", "dataclass-args", "typed-dict"):
            inner = inner.get("schema", {"type": "model-fields", "fields": {}})
            doubt = doubt or inner["type"] in _FUNCTIONS or "serialization" in inner
        given = inner["fields"]
        named = given.items() if isinstance(given, dict) else [(field["name"], field) for field in given]
        known = {name: field for name, field in named if not field.get("init_only")}
        kind: type = schema["cls"] if schema["type"] != "typed-dict" else dict
        fields = [self._field(name, field, config, doubt) for name, field in known.items()]
        if schema["type"] == "dataclass":
            others = [field.name for field in dataclasses.fields(kind) if field.name not in known]
            fields += [Field(name, Shape(), NOTHING, False) for name in others]
        extra = schema.get("extra_behavior", inner.get("extra_behavior", config.get("extra_fields_behavior")))
        record = Record(
            kind,
            fields,
            extra=extra == "allow",
            knows_what_is_set=schema["type"] == "model" and "serialization" not in schema,
        )
        self.ambiguous = self.ambiguous or record.ambiguous
        return record

    def _field(self, name: str, field: Schema, config: Schema, doubt: bool) -> Field:
        schema = field["schema"]
        excluded = bool(field.get("serialization_exclude") or "serialization_exclude_if" in field)
        inner = schema["schema"] if schema["type"] == "default" else schema
        shape = self.read(schema, config, doubt or excluded or field.get("init") is False)
        default = NOTHING if excluded else _default(schema, config)
        aliases = tuple(alias for alias in _aliases(field) if alias != name)
        return Field(name, shape, default, inner["type"] == "literal", aliases)


def _default(schema: Schema, config: Schema) -> Any:
    if schema["type"] != "default" or schema.get("validate_default", config.get("validate_default")):
        return NOTHING
    factory: Callable[[], Any] | None = schema.get("default_factory")
    if factory is not None:
        return factory() if factory in _ALWAYS_THE_SAME else NOTHING
    default = schema.get("default", NOTHING)
    is_constant = schema["schema"]["type"] == "literal" and len(schema["schema"]["expected"]) == 1
    is_empty = default is None or (isinstance(default, (list, dict, set, tuple, frozenset)) and not default)
    # Any other may be changed by a deployment, or differ from process to process: what is recorded must not.
    return default if is_empty or is_constant else NOTHING


def _aliases(field: Schema) -> Iterator[str]:
    """The keys by which a field may be read, other than its name."""
    alias: str | Sequence[Any] | None = field.get("validation_alias")
    if isinstance(alias, str):
        yield alias
    elif alias:
        for path in alias if isinstance(alias[0], list) else [alias]:
            yield str(path[0])
