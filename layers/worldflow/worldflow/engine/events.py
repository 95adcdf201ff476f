"""What the events of a history have in common: see `history.py`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _ModelType
else:
    _ModelType = type(BaseModel)

Json = Any
"""A value made of dict, list, str, int, float, bool and None."""

Attribute = str | int | float | bool
"""The value of an attribute of a run."""

UNRECORDED = datetime.fromtimestamp(0, UTC)


class Failure(BaseModel):
    """An exception as data: see `failures.py`."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

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


class _EventType(_ModelType):
    """A class of events. pydantic's `isinstance` runs Python code, and events are told apart by it all the time."""

    __instancecheck__ = type.__instancecheck__


class BaseEvent(BaseModel, metaclass=_EventType):
    """What all events share. `seq` and `at` are 0 and 1970 until the event is recorded."""

    model_config = ConfigDict(extra="allow", frozen=True, ser_json_inf_nan="constants", defer_build=True)

    data_fields: ClassVar[tuple[str, ...]] = ()
    """The fields that hold the user's own data, which may be large."""

    event_type: str
    seq: int = 0
    at: datetime = UNRECORDED

    @property
    def payload(self) -> dict[str, Any]:
        """The event's own fields, as JSON values."""
        return self.model_dump(mode="json", exclude={"event_type", "seq", "at"}, exclude_none=True)

    def recorded(self, seq: int, at: datetime) -> Any:
        """This event at its place in the history."""
        event = self.__copy__()
        event.__dict__.update(seq=seq, at=at)  # `model_copy` takes several times as long
        return event


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


class Parent(BaseModel):
    """The run, and its call, that started a child."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    run_id: str
    child_id: str
