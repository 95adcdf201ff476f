"""What the events of a history have in common: see the package."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar, Self, dataclass_transform, get_type_hints

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema, from_json, to_json

__all__ = ["UNRECORDED", "Attribute", "BaseEvent", "Decision", "Fact", "Failure", "Json", "Parent", "dump_fields"]

Json = Any
"""A value made of dict, list, str, int, float, bool and None."""

Attribute = str | int | float | bool
"""The value of an attribute of a run."""

UNRECORDED = datetime.fromtimestamp(0, UTC)


class Failure(BaseModel):
    """An exception as data: see `failures.py`."""

    # Built now, as `Parent` is: what is not yet built cannot be written as a part of an event.
    model_config = ConfigDict(extra="allow", frozen=True, ser_json_inf_nan="constants")

    type: str
    """`module:qualname`"""
    message: str = ""
    args: list[Json] | None = None
    """The arguments and attributes to rebuild it from; None where it cannot be rebuilt."""
    state: dict[str, Json] = {}
    notes: list[str] = []
    bases: list[str] = []
    """The names of the classes that its type derives from, less those that all exceptions do."""
    cause: Failure | None = None
    members: list[Failure] = []
    """The exceptions of a group."""
    traceback: str = ""
    packed: Json = None
    """All but the names of its type, where a codec has encoded it."""


class Parent(BaseModel):
    """The run, and its call, that started a child."""

    model_config = ConfigDict(extra="allow", frozen=True)

    run_id: str
    child_id: str


_READERS: dict[str, Callable[[Any], Any]] = {
    "due": datetime.fromisoformat,
    "created_at": datetime.fromisoformat,
    "start_at": datetime.fromisoformat,
    "expires_at": datetime.fromisoformat,
    "first_at": datetime.fromisoformat,
    "error": Failure.model_validate,
    "parent": Parent.model_validate,
    "caller": Parent.model_validate,
    "called_at": datetime.fromisoformat,
}
"""Each name means the same in all events."""

_new, _set = object.__new__, object.__setattr__


def dump_fields(value: Any) -> bytes:
    """The JSON text of what events hold."""
    return to_json(value, exclude_none=True, inf_nan_mode="constants")


@dataclass_transform(kw_only_default=True, frozen_default=True)
class BaseEvent:
    """What all events share. `seq` and `at` are 0 and 1970 until the event is recorded.

    The fields of an event are the annotations of its class; those without a default identify it. An instance holds what
    it was given, also under names that its class does not know, and its class holds the defaults. This is no model of
    pydantic's, which cost a cold start more to make than all else here, and a replay more to read.
    """

    data_fields: ClassVar[tuple[str, ...]] = ()
    """The fields that hold the user's own data, which may be large: those that are annotated with `Json`."""
    defaults: ClassVar[dict[str, Any]] = {"event_type": None, "seq": 0, "at": UNRECORDED}
    """All fields, in order, with the values that they have of themselves."""
    needed: ClassVar[frozenset[str]] = frozenset()
    """The fields that have none: they identify the event."""
    _readers: ClassVar[tuple[tuple[str, Callable[[Any], Any]], ...]] = (("at", datetime.fromisoformat),)
    """How the fields are read that are more than JSON."""

    event_type: str
    seq: int = 0
    at: datetime = UNRECORDED

    def __init_subclass__(cls) -> None:
        hints = {name: hint for name, hint in cls.__annotations__.items() if not hint.startswith("ClassVar")}
        cls.data_fields = tuple(name for name, hint in hints.items() if hint == "Json")
        cls.defaults = cls.defaults | {name: cls.__dict__.get(name) for name in hints}
        cls.needed = cls.needed | {name for name in hints if name not in cls.__dict__}
        cls._readers = (*cls._readers, *((name, _READERS[name]) for name in hints if name in _READERS))

    def __init__(self, **fields: Any) -> None:
        """Raises `TypeError` where a field is missing that identifies the event."""
        if missing := self.needed - fields.keys():
            raise TypeError(f"{type(self).__name__} is missing {', '.join(sorted(missing))}")
        self.__dict__.update(fields)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"events are immutable: cannot set {name!r}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BaseEvent) and self.fields() == other.fields()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.fields().items())})"

    def fields(self) -> dict[str, Any]:
        """What the event holds, by name. None is the same as nothing."""
        return {name: value for name, value in {**self.defaults, **self.__dict__}.items() if value is not None}

    @property
    def payload(self) -> dict[str, Any]:
        """The event's own fields, as JSON values."""
        own = {name: value for name, value in self.fields().items() if name not in ("event_type", "seq", "at")}
        payload: dict[str, Any] = from_json(dump_fields(own))
        return payload

    def model_copy(self, *, update: dict[str, Any]) -> Self:
        """This event with other values in some fields: of the name that it has in records and messages."""
        event = _new(type(self))
        event.__dict__.update(self.__dict__, **update)
        return event

    def recorded(self, seq: int, at: datetime) -> Self:
        """This event at its place in the history."""
        return self.model_copy(update={"seq": seq, "at": at})

    @classmethod
    def read(cls, fields: dict[str, Any]) -> Self:
        """The event of its own JSON, which it keeps."""
        for name, read in cls._readers:
            if name in fields:
                fields[name] = read(fields[name])
        event = _new(cls)
        _set(event, "__dict__", fields)
        return event

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """What messages need, which carry facts: there each field is checked."""
        hints = get_type_hints(cls)
        fields = {
            name: core_schema.typed_dict_field(handler.generate_schema(hints[name]), required=name in cls.needed)
            for name in cls.defaults
        }

        def check(value: Any, fields: core_schema.ValidatorFunctionWrapHandler) -> BaseEvent:
            return value if isinstance(value, cls) else cls(**fields(value))

        return core_schema.no_info_wrap_validator_function(
            check,
            core_schema.typed_dict_schema(fields, extra_behavior="allow"),
            serialization=core_schema.plain_serializer_function_ser_schema(BaseEvent.fields),
        )


class Fact(BaseEvent):
    """Something that happened. Delivered at least once, so each has an id that is recorded once."""

    held: bool | None = None
    """Recorded while the workflow's code could not run; an `Applied` event marks where the workflow learned of it."""

    @property
    def fact_id(self) -> str:
        raise TypeError(f"{type(self).__name__} has no fact id")


class Decision(BaseEvent):
    """Something that the workflow asked for, or that the engine decided for it."""

    held: ClassVar[None] = None

    @property
    def identity(self) -> tuple[str, str, str]:
        """What a replay compares: kind, id and name."""
        return (self.event_type, "", "")
