"""Annotations and values that Hypothesis makes up: what is read is what was written, or it is refused at the call."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import GenericAlias
from typing import Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator
from typing_extensions import TypedDict

from tests.support.outside import fuzz
from worldflow import SerializationError
from worldflow.engine.history import StepCompleted, dump_events, load_events
from worldflow.engine.values.serialization import Codec

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2
    PAIR = (1, 2)


class Size(enum.StrEnum):
    SMALL = "s"


class Level(enum.IntEnum):
    LOW = 1


class Approved(BaseModel):
    by: str = ""
    note: str | None = None


class Rejected(BaseModel):
    by: str = ""
    reason: str | None = "none"


class Closer(Rejected):
    """A subclass, which has another field."""

    at: datetime | None = None


class Item(BaseModel):
    """Each field's alias is the name of the other."""

    name: str = Field(alias="id")
    id: str | None = Field(alias="name", default=None)


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    user_id: int = Field(alias="userId", default=1)


class Cents(BaseModel):
    cents: int = 0
    tags: list[str] = []
    kind: Literal["cents"] = "cents"

    @field_validator("cents", mode="after")
    @classmethod
    def positive(cls, cents: int) -> int:
        return abs(cents) + 1


class Letters(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True)
    content: bytes = b""
    text: str = ""


class Page(BaseModel, Generic[T]):
    items: list[T] = Field(default_factory=list)


class Names(RootModel[list[Approved]]): ...


class Tree(BaseModel):
    value: Decimal | None = None
    children: list[Tree] = []


@dataclass
class Scan:
    content: bytes = b""
    made: date | None = None


@dataclass
class Doubled:
    width: int = 1
    area: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.area = self.width**2


class Row(NamedTuple):
    name: str
    when: date | str


class Movie(TypedDict, total=False):
    title: str
    year: int | str


words = st.text(max_size=4) | st.sampled_from(["", "1", "s", "red", "abcd", "true", "null", "2026-01-01", " a "])
texts = words | st.just("\udce9")
moments = st.datetimes(
    timezones=st.sampled_from(
        [
            None,
            UTC,
            timezone(timedelta(hours=5, minutes=30)),
            timezone(timedelta(seconds=1172)),
            ZoneInfo("Europe/Vienna"),
        ]
    )
)
LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers() | st.booleans() | st.just(Level.LOW)),
    (str, texts | st.just(Size.SMALL)),
    (bool, st.booleans()),
    (float, st.floats() | st.integers()),
    (bytes, st.binary(max_size=4) | st.just(b"abcd")),
    (Decimal, st.decimals(allow_nan=False)),
    (date, st.dates() | moments),
    (datetime, moments),
    (time, st.times(timezones=st.sampled_from([None, UTC, ZoneInfo("Europe/Vienna")]))),
    (timedelta, st.timedeltas()),
    (UUID, st.uuids()),
    (None, st.none()),
    (Colour, st.sampled_from(Colour)),
    (Size, st.sampled_from(Size)),
    (Level, st.sampled_from(Level)),
    (Literal["a", 1], st.sampled_from(["a", 1])),
    (Row, st.builds(Row, texts, st.dates() | texts)),
    (Movie, st.fixed_dictionaries({}, optional={"title": texts, "year": st.integers() | texts})),
]


def fields(model: Any, **parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Models of which some fields are set."""
    return st.fixed_dictionaries({}, optional=parts).map(lambda given: model(**given))


models = {
    Approved: fields(Approved, by=words, note=st.none() | words),
    Rejected: fields(Rejected, by=words, reason=st.none() | words) | fields(Closer, by=words, at=st.none() | moments),
    Item: st.builds(lambda name, id: Item(id=name, **({} if id is None else {"name": id})), words, st.none() | words),
    Open: fields(Open, userId=st.integers(), user_id=st.integers(), more=st.lists(words | moments, max_size=1)),
    Cents: fields(Cents, cents=st.integers(-9, 9), tags=st.lists(words, max_size=2)),
    Letters: fields(Letters, content=st.binary(max_size=4), text=words),
    Page[int]: fields(Page[int], items=st.lists(st.integers(), max_size=2)),
    Page[str]: fields(Page[str], items=st.lists(words, max_size=2)),
    Names: st.builds(Names, st.lists(st.builds(Approved, by=words), max_size=2)),
    Tree: st.builds(Tree, children=st.lists(st.builds(Tree, value=st.integers(0, 9).map(Decimal)), max_size=2)),
    Scan: st.builds(Scan, st.binary(max_size=4), st.none() | st.dates()),
    Doubled: st.builds(Doubled, st.integers(0, 9)),
}
LEAVES += models.items()
KEYS = [
    leaf for leaf in LEAVES if leaf[0] in (int, str, bool, date, datetime, UUID, Colour, Size, Level, Decimal, bytes)
]


def either(one: Any, other: Any) -> Any:
    return None if one is None and other is None else one | other


@st.composite
def pairs(draw: st.DrawFn, depth: int = 2) -> tuple[Any, st.SearchStrategy[Any]]:
    """An annotation, and values for it."""
    form = draw(st.integers(0, 9)) if depth else 0
    if form < 3:
        return draw(st.sampled_from(LEAVES))
    inner, values = draw(pairs(depth - 1))
    match form:
        case 3:
            return GenericAlias(list, (inner,)), st.lists(values, max_size=3)
        case 4:
            return GenericAlias(tuple, (inner, ...)), st.lists(values, max_size=3).map(tuple)
        case 5:
            key, keys = draw(st.sampled_from(KEYS))
            other, others = draw(st.sampled_from(KEYS))
            return GenericAlias(dict, (key | other, inner)), st.dictionaries(keys | others, values, max_size=3)
        case 6:
            return either(inner, None), st.none() | values
        case 7:
            made = dataclasses.make_dataclass("Made", [("part", inner), ("more", inner)])
            return made, st.builds(made, values, values)
        case 8:
            return GenericAlias(deque, (inner,)), st.lists(values, max_size=2).map(deque)
    other, others = draw(pairs(depth - 1))
    return either(inner, other), values | others


def same(value: Any, read: Any) -> bool:
    """Whether one is the other, in all that can be seen of it."""
    if type(value) is not type(read):
        if type(read) is float and isinstance(value, int):
            return bool(value == read)
        # What is given where the annotation says its base.
        return type(read) in (int, str) and isinstance(value, type(read)) and bool(value == read)
    match value:
        case float():
            return (math.isnan(value) and math.isnan(read)) or repr(value) == repr(read)
        case Decimal():
            return str(value) == str(read)
        case datetime() | time():
            return str(value) == str(read) and not isinstance(value.tzinfo, ZoneInfo)
        case list() | tuple() | deque():
            return len(value) == len(read) and all(map(same, value, read))
        case dict():
            keys = {key: key for key in read}
            return len(value) == len(read) and all(
                key in read and same(key, keys[key]) and same(part, read[key]) for key, part in value.items()
            )
        case BaseModel():
            # In a union, fields are written that were not set, where its members would be taken for each other.
            return value.model_fields_set <= read.model_fields_set and same(vars(value), vars(read))
        case Scan() | Doubled():
            return same(vars(value), vars(read))
    if dataclasses.is_dataclass(value):
        return same(vars(value), vars(read))
    return bool(value == read)


def through_history(codec: Codec, form: Any) -> Any:
    (event,) = load_events(dump_events([StepCompleted(step_id="s1", result=form)]))
    return codec.decode(event.result)


@settings(fuzz, max_examples=400)
@given(st.data())
def test_what_is_read_is_what_was_written_or_it_is_refused(data: st.DataObject) -> None:
    annotation, values = data.draw(pairs(), "annotation")
    value = data.draw(values, "value")
    codec = Codec(annotation, "value")
    try:
        form = codec.encode(value)
    except SerializationError as error:
        assert error.path.startswith("value")
        return
    read = through_history(codec, form)
    assert same(value, read), f"{annotation}: {value!r} came back as {read!r}, by {form!r}"
    assert codec.is_form(value, form) or "nan" in repr(value)


@fuzz
@given(st.data())
def test_fields_that_were_not_set_are_not_set(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(models)))
    values = data.draw(st.lists(models[kind], max_size=2), "values")
    annotation = data.draw(st.sampled_from([GenericAlias(list, (kind,)), GenericAlias(list, (kind | None,))]))
    codec = Codec(annotation, "value")
    try:
        form = codec.encode(values)
    except SerializationError:
        return
    for value, read in zip(values, through_history(codec, form), strict=True):
        if isinstance(value, BaseModel):
            assert read.model_fields_set >= value.model_fields_set
            more = read.model_fields_set - value.model_fields_set
            assert all(type(value).model_fields[name].default not in (None, []) for name in more)
