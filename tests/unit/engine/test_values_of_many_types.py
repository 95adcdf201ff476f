"""A value goes through JSON, by its annotation, and comes back as what it was."""

import enum
import math
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar, Union
from uuid import UUID

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, computed_field
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from tests.support.driver import Drive
from worldflow import step, workflow
from worldflow.engine.history import StepCompleted, dump_events, load_events
from worldflow.engine.values.serialization import Codec

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Size(enum.StrEnum):
    SMALL = "s"


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Line(BaseModel):
    sku: str
    quantity: int = 1
    price: Decimal = Decimal("1.10")


class Order(BaseModel):
    id: UUID
    lines: list[Line]
    placed: datetime
    colour: Colour | None = None


class Page(BaseModel, Generic[T]):
    items: list[T]


class Aliased(BaseModel):
    user_id: int = Field(alias="userId")


class CamelCased(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
    first_name: str


class ReadByAnotherName(BaseModel):
    user_id: int = Field(validation_alias="userId")


class WrittenByAnotherName(BaseModel):
    user_id: int = Field(serialization_alias="userId")


class ReadByManyNames(BaseModel):
    user_id: int = Field(validation_alias=AliasChoices("userId", "uid"))


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    width: int

    @computed_field
    @property
    def area(self) -> int:
        return self.width**2


class Extra(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: list[str]


class Tree(BaseModel):
    value: int
    children: list["Tree"] = []


@dataclass
class Point:
    x: int
    y: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    start: Point
    end: Point
    tags: frozenset[str] = frozenset()
    weights: dict[str, list[Decimal]] = field(default_factory=dict)


@dataclass
class Derived:
    width: int
    area: int = field(init=False)

    def __post_init__(self) -> None:
        self.area = self.width**2


class Row(NamedTuple):
    name: str
    when: date


class Movie(TypedDict, total=False):
    title: str
    year: int


MOMENT = datetime(2026, 2, 3, 4, 5, 6, 789_012, UTC)
ORDER = Order(
    id=UUID(int=7), lines=[Line(sku="a"), Line(sku="b", price=Decimal("0.30"))], placed=MOMENT, colour=Colour.BLUE
)

VALUES: list[tuple[Any, Any]] = [
    (int, 10**30),
    (float, 0.1 + 0.2),
    (float, math.inf),
    (float, -math.inf),
    (float, 1e-320),
    (float, -0.0),
    (bool, True),
    (None, None),
    (str, 'Gr\u00fc\u00dfe, \u4e16\u754c \U0001f600 "\\ \x00 \u2028'),
    (bytes, bytes(range(256))),
    (datetime, MOMENT),
    (datetime, datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30)))),
    (datetime, datetime(2026, 1, 1, 12, 0)),
    (date, date(2026, 1, 1)),
    (time, time(23, 59, 59, 999_999)),
    (timedelta, timedelta(days=3, microseconds=1)),
    (timedelta, -timedelta(seconds=1)),
    (Decimal, Decimal("10.10")),
    (Decimal, Decimal("1E+400")),
    (UUID, UUID(int=2**127)),
    (Path, Path("/a/b")),
    (complex, 1 + 2j),
    (Colour, Colour.RED),
    (Colour, Colour.BLUE),
    (Size, Size.SMALL),
    (Level, Level.LOW),
    (Access, Access.READ | Access.WRITE),
    (Literal["a", 1], "a"),
    (list[int], []),
    (list[list[Decimal]], [[Decimal("0.1")], []]),
    (set[int], {3, 1, 2}),
    (frozenset[UUID], frozenset({UUID(int=1), UUID(int=2)})),
    (tuple[int, str, Decimal], (1, "a", Decimal("1.0"))),
    (tuple[Point, ...], (Point(1), Point(2, 3.0))),
    (tuple[()], ()),
    (deque[int], deque([1, 2])),
    (dict[str, Point], {"a": Point(1)}),
    (dict[int, str], {1: "a", -2: "b"}),
    (dict[UUID, date], {UUID(int=1): date(2026, 1, 1)}),
    (dict[Colour, int], {Colour.RED: 1}),
    (Optional[Decimal], None),  # noqa: UP045
    (Optional[Decimal], Decimal("1.0")),  # noqa: UP045
    (int | None, 5),
    (Union[int, str], "5"),  # noqa: UP007
    (Union[int, str], 5),  # noqa: UP007
    (Union[Cat, Dog], Dog(tricks=["sit"])),  # noqa: UP007
    (Annotated[Cat | Dog, Field(discriminator="kind")], Cat(lives=9)),
    (list[Cat | Dog | None], [Cat(lives=1), None, Dog(tricks=[])]),
    (Order, ORDER),
    (list[Order], [ORDER, ORDER]),
    (Page[Line], Page[Line](items=[Line(sku="a")])),
    (Page[datetime], Page[datetime](items=[MOMENT])),
    (dict[str, Page[Page[int]]], {"p": Page[Page[int]](items=[Page[int](items=[1])])}),
    (Tree, Tree(value=1, children=[Tree(value=2, children=[Tree(value=3)])])),
    (Aliased, Aliased(userId=5)),
    (CamelCased, CamelCased(first_name="A")),
    (ReadByAnotherName, ReadByAnotherName(userId=5)),
    (WrittenByAnotherName, WrittenByAnotherName(user_id=5)),
    (ReadByManyNames, ReadByManyNames(uid=5)),
    (Computed, Computed(width=3)),
    (Extra, Extra(name="a", more=[1])),
    (Point, Point(1)),
    (Segment, Segment(start=Point(1), end=Point(2), tags=frozenset({"a"}), weights={"w": [Decimal("0.10")]})),
    (Derived, Derived(4)),
    (Row, Row("a", date(2026, 1, 1))),
    (Movie, Movie(title="M")),
    (Any, {"a": [1, 2.5, None, True, "x"]}),
    (dict, {"a": {"b": 1}}),
    (list, [1, "a", None]),
]


def ids(value: Any) -> str:
    return getattr(value, "__name__", str(value)).replace("typing.", "")[:40]


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=ids)
def test_there_and_back(annotation: Any, value: Any):
    codec = Codec(annotation, "value")
    encoded = codec.encode(value)
    (event,) = load_events(dump_events([StepCompleted(step_id="s1", result=encoded)]))
    decoded = codec.decode(event.result)
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=ids)
def test_through_a_workflow_and_a_step(drive: Drive, annotation: Any, value: Any):
    async def same(item):
        raise AssertionError

    async def pass_on(item):
        returned = await carry(item)
        assert returned == value
        return returned

    for function in (same, pass_on):
        function.__annotations__.update(item=annotation, **{"return": annotation})
    carry = step(same)
    run = drive(workflow(pass_on), value)
    arguments = carry.signature.decode(run.input_of("s1"))
    assert arguments == {"item": value}
    run.complete(carry, arguments["item"])
    assert run.result() == value


def test_not_a_number():
    codec = Codec(float, "value")
    (event,) = load_events(dump_events([StepCompleted(step_id="s1", result=codec.encode(math.nan))]))
    assert math.isnan(codec.decode(event.result))


def test_infinity_where_anything_goes():
    codec = Codec(Any, "value")
    (event,) = load_events(dump_events([StepCompleted(step_id="s1", result=codec.encode([math.inf]))]))
    assert codec.decode(event.result) == [math.inf]


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (MOMENT, "2026-02-03T04:05:06.789012Z"),
        (Decimal("1.10"), "1.10"),
        (Point(1), {"x": 1, "y": 0.5}),
        ((1, Colour.RED), [1, "red"]),
    ],
)
def test_without_an_annotation_a_value_becomes_json_and_stays_that(value: Any, json: Any):
    codec = Codec(Any, "value")
    assert codec.encode(value) == json
    assert codec.decode(codec.encode(value)) == json


def test_a_value_is_carried_as_it_is_when_the_step_is_awaited(drive: Drive):
    @step
    async def carry(items: list[int]) -> None: ...

    @workflow
    async def changing() -> None:
        items = [1]
        await carry(items)
        items.append(2)
        await carry(items)

    run = drive(changing)
    assert run.input_of("s1") == {"items": [1]}
    run.complete(carry)
    assert run.input_of("s2") == {"items": [1, 2]}
