"""What pydantic reads and writes the values of one annotation with."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter
from pydantic_core import SchemaSerializer, SchemaValidator, core_schema

from worldflow.engine.errors import ConfigurationError
from worldflow.engine.history import Json, dump_value
from worldflow.engine.values.schemas import shape_of
from worldflow.engine.values.shapes import Shape

_CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")


class Adapter:
    """Reads and writes the values of one annotation. `where` names its place in error messages."""

    def __init__(self, annotation: Any, where: str) -> None:
        """Raises `ConfigurationError` for an annotation whose values cannot be carried."""
        try:
            try:
                adapter: TypeAdapter[Any] = TypeAdapter(annotation, config=_CONFIG)
                has_config = True
            except PydanticUserError as error:
                if error.code != "type-adapter-config-unused":
                    raise
                adapter = TypeAdapter(annotation)
                has_config = False
        except PydanticUserError as error:
            reason = str(error).split("\n")[0]
            raise ConfigurationError(f"{where}: {annotation!r} cannot be serialized: {reason}") from error
        self._schema: Any = adapter.core_schema
        if not isinstance(self._schema, dict) and not getattr(annotation, "__module__", "").startswith("worldflow."):
            self._schema = dict(self._schema)  # of a model that puts off making it
        text = repr(self._schema)
        if "pydantic.types.Secret" in text:
            raise ConfigurationError(
                f"{where}: {annotation!r} holds a secret, which pydantic masks when it serializes it. Don't store "
                f"secrets in a history: pass the name of the secret, and look it up in the step"
            )
        if "import_string" in text:
            raise ConfigurationError(
                f"{where}: {annotation!r} imports any object that a message names. Pass your own name for it, and look "
                f"it up"
            )
        self._validator: Any = adapter.validator
        self._serializer: Any = adapter.serializer
        if "'bytes'" in text and (schema := _with_any_bytes(self._schema, has_config)) is not self._schema:
            config = _CORE_CONFIG if has_config else None
            # Not those that the models in it have made of their own schemas.
            self._validator = SchemaValidator(schema, config, _use_prebuilt=False)
            self._serializer = SchemaSerializer(schema, config, _use_prebuilt=False)
        self._is_lazy = _is_lazy(self._schema)

    @cached_property
    def shape(self) -> Shape:
        """What the values are made of."""
        return shape_of(self._schema)

    def dump(self, value: Any) -> Json:
        """The JSON form of a value, with every field. Raises pydantic's errors for what does not fit."""
        if self._is_lazy and isinstance(value, Iterable):
            value = iter(value)  # a serializer of iterators takes nothing else
        return self._serializer.to_python(value, mode="json", by_alias=False, round_trip=True, warnings="error")

    def read(self, form: Json, *, by_alias: bool = True, by_name: bool = True) -> Any:
        """The value of a JSON form, whose fields may have their names or their aliases, unless told otherwise."""
        value = self._validator.validate_json(dump_value(form), by_alias=by_alias, by_name=by_name)
        return list(value) if self._is_lazy and value is not None else value

    def validate(self, value: Any, *, by_alias: bool = True, by_name: bool = True) -> Any:
        """A value of the annotation out of a Python value, which is no object that only has attributes alike."""
        return self._validator.validate_python(value, from_attributes=False, by_alias=by_alias, by_name=by_name)


def _is_lazy(schema: Mapping[str, Any]) -> bool:
    """Whether pydantic reads an iterator, which checks its items when they are read."""
    while schema["type"] in ("nullable", "default"):
        schema = schema["schema"]
    return bool(schema["type"] == "generator")


# --- bytes that are no text ---

_CORE_CONFIG: Any = {"ser_json_bytes": "base64", "val_json_bytes": "base64", "ser_json_inf_nan": "constants"}
_MARK = "data:;base64,"


def _with_any_bytes(schema: Any, is_base64: bool) -> Any:
    """The schema with bytes of any kind where a model or a dataclass would have UTF-8.

    They stay the text that they were where they are UTF-8: so histories hold them.
    """
    if isinstance(schema, (list, tuple)):
        parts = [_with_any_bytes(part, is_base64) for part in schema]
        same = all(new is old for new, old in zip(parts, schema, strict=True))
        return schema if same else type(schema)(parts)
    if not isinstance(schema, dict):
        return schema
    if isinstance(config := schema.get("config"), dict) and "type" in schema:
        if config.get("ser_json_bytes", "utf8") != "utf8" or config.get("val_json_bytes", "utf8") != "utf8":
            is_base64 = True
        else:
            is_base64 = False
    if schema.get("type") == "bytes" and "serialization" not in schema and not is_base64:
        return _any_bytes(schema)
    changed = {}
    for name, part in schema.items():
        if name not in ("config", "metadata", "default", "serialization", "expected", "cls", "members"):
            new = _with_any_bytes(part, is_base64)
            if new is not part:
                changed[name] = new
    return {**schema, **changed} if changed else schema


def _any_bytes(schema: Any) -> Any:
    return core_schema.json_or_python_schema(
        json_schema=core_schema.no_info_before_validator_function(_bytes_of_text, schema),
        python_schema=schema,
        serialization=core_schema.plain_serializer_function_ser_schema(_text_of_bytes, when_used="json"),
    )


def _text_of_bytes(data: Any) -> str:
    try:
        text: str = data.decode()
    except UnicodeDecodeError:
        text = _MARK
    return _MARK + base64.b64encode(data).decode() if text.startswith(_MARK) else text


def _bytes_of_text(value: Any) -> Any:
    if isinstance(value, str):
        return base64.b64decode(value.removeprefix(_MARK)) if value.startswith(_MARK) else value.encode()
    return value
