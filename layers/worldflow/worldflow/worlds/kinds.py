"""Annotations for what may be of several kinds, told apart by a field: messages, and the facts in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from worldflow.engine.history import BaseEvent


class OneOf:
    """Of an annotation: one of some kinds, told apart by a field. What checks a kind is made when the first of that
    kind comes: a process meets few of them, and all would cost a cold start more than most steps take.
    """

    def __init__(self, field: str, kinds: Mapping[str, type[Any]]) -> None:
        self._field = field
        self._kinds = kinds
        self._checks: dict[str, Callable[[Any], Any]] = {}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(_written)
        return core_schema.no_info_plain_validator_function(self.check, serialization=written)

    def check(self, value: Any) -> Any:
        """The instance that a dict describes, or the one that it is. Raises pydantic's `ValidationError`."""
        if isinstance(value, tuple(self._kinds.values())):
            return value
        if not isinstance(value, dict):
            raise PydanticKnownError("dict_type")
        name = value.get(self._field)
        if not isinstance(name, str):
            raise PydanticKnownError("union_tag_not_found", {"discriminator": self._field})
        if name not in self._kinds:
            tags = {"discriminator": self._field, "tag": name, "expected_tags": ", ".join(self._kinds)}
            raise PydanticKnownError("union_tag_invalid", tags)
        if name not in self._checks:
            self._checks[name] = _check_of(self._kinds[name])
        return self._checks[name](value)


def _check_of(kind: type[Any]) -> Callable[[Any], Any]:
    # A model must be made by itself: an adapter would make what reads it, and not what writes it.
    return kind.model_validate if issubclass(kind, BaseModel) else TypeAdapter(kind).validate_python


def _written(value: Any) -> Any:
    return value.fields() if isinstance(value, BaseEvent) else value
