"""An annotation for values of several kinds that a field tells apart: messages, and the facts in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from worldflow.engine.history import BaseEvent


class OneOf:
    """An annotation: the value is of one of some kinds, which a field tells apart. The validator of a kind is made when
    the first value of that kind arrives: a process meets few kinds, and to make all of them would slow a cold start by
    more than most steps take.
    """

    def __init__(self, field: str, kinds: Mapping[str, type[Any]]) -> None:
        self._field = field
        self._kinds = kinds
        self._checks: dict[str, Callable[[Any], Any]] = {}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(_written)
        return core_schema.no_info_plain_validator_function(self.check, serialization=written)

    def check(self, value: Any) -> Any:
        """The instance that a dict describes; an instance is returned as it is. Raises pydantic's `ValidationError`."""
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
    # A model builds itself: an adapter would build its validator but not its serializer.
    return kind.model_validate if issubclass(kind, BaseModel) else TypeAdapter(kind).validate_python


def _written(value: Any) -> Any:
    return value.fields() if isinstance(value, BaseEvent) else value
