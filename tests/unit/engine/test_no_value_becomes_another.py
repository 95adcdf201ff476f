"""What is read is what was written, or the call is refused with the path to what cannot be carried."""

import enum
import functools
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PrivateAttr,
    RootModel,
    StringConstraints,
    field_serializer,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import SerializationError, step, workflow
from worldflow.engine.values.serialization import Codec

T = TypeVar("T")
VIENNA = ZoneInfo("Europe/Vienna")
MOMENT = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)


class Colour(enum.Enum):
    RED = "red"


class Size(enum.StrEnum):
    SMALL = "s"


class Pair(enum.Enum):
    ONE = (1, 2)


class Approved(BaseModel):
    by: str


class Rejected(BaseModel):
    by: str


class Pet(BaseModel):
    name: str


class Dog(Pet):
    tricks: list[str] = []


class Puppy(Pet):
    """No field more."""


class Cat(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    lives: int = 9


class Page(BaseModel, Generic[T]):
    items: list[T]


class Names(RootModel[list[str | date]]): ...


class Price(BaseModel):
    cents: int

    @field_validator("cents", mode="before")
    @classmethod
    def to_cents(cls, euros: float) -> int:
        return int(euros * 100)


class Total(BaseModel):
    net: int

    @model_validator(mode="after")
    def with_tax(self) -> "Total":
        self.net += 1
        return self


class Initialised(BaseModel):
    count: int

    def model_post_init(self, context: Any) -> None:
        self.count += 1


class Rounded(BaseModel):
    amount: Decimal

    @field_serializer("amount")
    def round(self, amount: Decimal) -> str:
        return f"{amount:.1f}"


class Stripped(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True)
    name: str = ""


class Cached(BaseModel):
    name: str
    token: str = Field(default="", exclude=True)
    _connection: object = PrivateAttr(default_factory=object)


class Event(BaseModel):
    data: dict[str, Any]
    at: str | datetime


class Parent(BaseModel):
    pets: list[Pet]


@dataclass
class Counted:
    count: int

    def __post_init__(self) -> None:
        self.count += 1


@dataclass
class Area:
    width: int
    area: int = field(init=False)

    def __post_init__(self) -> None:
        self.area = self.width**2


@dataclass
class Box(Generic[T]):
    content: T


class Row(NamedTuple):
    name: str
    when: str | date


class Movie(TypedDict):
    year: str | date


def changed(model: Any, **fields: Any) -> Any:
    for name, value in fields.items():
        setattr(model, name, value)
    return model


REFUSED: list[tuple[Any, Any, str]] = [
    (Approved | Rejected, Rejected(by="Grace"), "value"),
    (list[Approved | Rejected], [Approved(by="a"), Rejected(by="Grace")], "value[1]"),
    (dict[str, Approved | Rejected | None], {"a": Rejected(by="Grace")}, "value['a']"),
    (Page[int] | Page[str], Page[str](items=[]), "value"),
    (datetime | str, MOMENT, ""),
    (datetime | str, "2026-02-03T04:05:00Z", "value"),
    (str | datetime, MOMENT, "value"),
    (str | datetime, "2026-02-03T04:05:00Z", ""),
    (str | date, date(2026, 1, 1), "value"),
    (date | datetime, datetime(2026, 1, 1), ""),
    (date | datetime, date(2026, 1, 1), ""),
    (str | Colour, Colour.RED, "value"),
    (Colour | str, "red", ""),
    (str | Size, Size.SMALL, "value"),
    (bytes | str, b"abcd", ""),
    (bytes | str, "abcd", "value"),
    (str | bytes, b"\xff", "value"),
    (list[int] | tuple[int, ...], (1, 2), "value"),
    (tuple[int, ...] | list[int], [1, 2], ""),
    (set[int] | list[int], {1}, "value"),
    (list[int] | set[int], {1}, "value"),
    (list[int] | deque[int], deque([1]), "value"),
    (list[datetime] | list[Any], [MOMENT], "value[0]"),
    (Decimal | str, "1.10", "value"),
    (Decimal | str, Decimal("1.10"), ""),
    (str | Decimal, Decimal("1.10"), "value"),
    (str | Path, Path("/a"), "value"),
    (int | str, True, ""),
    (dict[int | str, str], {1: "a", "1": "b"}, "value"),
    (dict[int | str, str], {1: "a"}, "value"),
    (dict[str, str | date], {"a": date(2026, 1, 1)}, "value['a']"),
    (dict, {1: "a", "1": "b"}, "value"),
    (Any, {"a": [{1: "a", "1": "b"}]}, "value['a'][0]"),
    (Any, {"a": Box({None: 1, "None": 2})}, "value['a'].content"),
    (set[str | date], {date(2026, 1, 1)}, "value"),
    (tuple[int, str | date], (1, date(2026, 1, 1)), "value[1]"),
    (Row, Row("a", date(2026, 1, 1)), "value[1]"),
    (Movie, {"year": date(2026, 1, 1)}, "value['year']"),
    (Movie, {"year": "1", "title": "M"}, "value['title']"),
    (Names, Names(["a", date(2026, 1, 1)]), "value.root[1]"),
    (Box[str | date], Box(date(2026, 1, 1)), "value.content"),
    (Event, Event(data={"at": MOMENT}, at=MOMENT), "value.at"),
    (float, 2**53 + 1, "value"),
    (list[float], [1, 2**53 + 1], "value[1]"),
    (date, datetime(2026, 1, 1, 12), "value"),
    (datetime, datetime(1900, 1, 1, tzinfo=timezone(timedelta(minutes=19, seconds=32))), "value"),
    (datetime, datetime(2026, 10, 24, tzinfo=VIENNA), "value"),
    (list[datetime], [MOMENT, MOMENT.astimezone(VIENNA)], "value[1]"),
    (time, time(12, tzinfo=VIENNA), "value"),
    (datetime, datetime(2026, 10, 25, 2, 30, fold=1), "value"),
    (Pair, Pair.ONE, "value"),
    (Pet, Dog(name="Rex", tricks=["sit"]), "value"),
    (Pet, Puppy(name="Rex"), "value"),
    (Parent, Parent(pets=[Pet(name="a"), Dog(name="Rex")]), "value.pets[1]"),
    (Cached, Cached(name="a", token="secret"), "value.token"),
    (Price, Price(cents=3), "value.cents"),
    (list[Price], [Price(cents=0), Price(cents=3)], "value[1].cents"),
    (Total, Total(net=1), "value.net"),
    (Initialised, Initialised(count=1), "value.count"),
    (Counted, Counted(1), "value.count"),
    (Area, changed(Area(2), area=5), "value.area"),
    (Rounded, Rounded(amount=Decimal("1.25")), "value.amount"),
    (Stripped, changed(Stripped(), name=" a "), "value.name"),
    (Annotated[str, StringConstraints(to_lower=True)], "A", "value"),
    (Annotated[int, AfterValidator(lambda number: number + 1)], 1, "value"),
    (Annotated[list[int], BeforeValidator(sorted)], [2, 1], "value[0]"),
    (deque[int], deque([1], maxlen=2), "value"),
]


@pytest.mark.parametrize(("annotation", "value", "path"), [row for row in REFUSED if row[2]])
def test_what_would_become_another_is_refused(annotation: Any, value: Any, path: str):
    with pytest.raises(SerializationError) as caught:
        Codec(annotation, "value").encode(value)
    assert caught.value.path == path


class Celsius(float): ...


SAME: list[tuple[Any, Any]] = [
    *((annotation, value) for annotation, value, path in REFUSED if not path and value is not True),
    (float, float("inf")),
    (Cached, Cached(name="a")),
    (Event, Event(data={"a": [1]}, at="now")),
    (Page[int] | Page[str], Page[str](items=["a"])),
    (bytes | str, "abc d"),
    (dict[int, str], {1: "a", 2: "b"}),
    (datetime, datetime(2026, 1, 1, tzinfo=ZoneInfo("Etc/GMT+5"))),
    (datetime | None, MOMENT),
    (Area, Area(2)),
    (deque[Any], deque([1, "a"])),
    (Rounded, Rounded(amount=Decimal("1.5"))),
    (Annotated[str, StringConstraints(to_lower=True)], "a"),
    (list[Annotated[Approved | Dog, Field(union_mode="left_to_right")]], [Approved(by="a"), Dog(name="b")]),
]


@pytest.mark.parametrize(("annotation", "value"), SAME)
def test_what_comes_back_as_it_was_is_carried(annotation: Any, value: Any):
    codec = Codec(annotation, "value")
    read = codec.decode(codec.encode(value))
    assert read == value or vars(read) == vars(value)
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("annotation", "value", "read"),
    [
        (float, 5, 5.0),
        (int, True, 1),
        (int | str, True, 1),
        (str, Size.SMALL, "s"),
        (float, Celsius(36.6), 36.6),
        (Sequence[int], (1, 2), [1, 2]),
        (Iterable[int], (1, 2), [1, 2]),
        (Iterable[int] | None, [1, 2], [1, 2]),
        (Iterable[int], iter([1, 2]), [1, 2]),
        (Mapping[str, Any], {"a": (MOMENT,)}, {"a": ["2026-02-03T04:05:00Z"]}),
        (dict[str, Any], {"a": {1: MOMENT}}, {"a": {"1": "2026-02-03T04:05:00Z"}}),
        (datetime, MOMENT.astimezone(timezone.utc), MOMENT),  # noqa: UP017
    ],
)
def test_a_conversion_that_loses_nothing_is_none(annotation: Any, value: Any, read: Any):
    codec = Codec(annotation, "value")
    found = codec.decode(codec.encode(value))
    assert found == read
    assert type(found) is type(read)


def test_an_iterable_inside_a_model_is_refused():
    class Numbers(BaseModel):
        numbers: Iterable[int]

    with pytest.raises(SerializationError, match=r"numbers: it would come back as an iterator.*annotate it as a list"):
        Codec(Numbers, "value").encode(Numbers(numbers=[1]))


def test_private_attributes_are_none_of_a_values_parts():
    codec = Codec(Cached, "value")
    assert codec.decode(codec.encode(Cached(name="a"))).name == "a"


@pytest.mark.parametrize(
    ("annotation", "value", "path"),
    [
        (Cat, ValueError("x"), "value"),
        (Cat, Pet(name="a"), "value"),
        (Cat, Box(1), "value"),
        (list[Cat], [Cat(), Pet(name="a")], "value[1]"),
        (dict[str, Cat], {"a": Cat(), "b": ValueError("x")}, "value['b']"),
        (dict[str, tuple[int, Cat | Pet]], {"a": (1, Box(1))}, "value['a'][1]"),
        (Parent, Parent.model_construct(pets=[Cat()]), "value.pets[0]"),
        (Parent, Parent.model_construct(pets=[Pet.model_construct(name=5)]), "value.pets[0].name"),
        (Box[list[Cat]], Box([Cat(), 5]), "value.content[1]"),
        (Movie, {"year": Cat()}, "value['year']"),
        (Cat | None, Box(1), "value"),
        (set[int], {1, "a"}, "value["),
    ],
)
def test_a_wrong_type_is_refused_with_the_path_to_it(annotation: Any, value: Any, path: str):
    with pytest.raises(SerializationError) as caught:
        Codec(annotation, "value").encode(value)
    assert caught.value.path.startswith(path)
    assert caught.value.path == path or path.endswith("[")


def test_what_only_has_attributes_alike_is_no_input():
    @workflow
    async def feed(cat: Cat) -> None: ...

    with pytest.raises(Exception, match="does not fit"):
        feed.signature.validate({"cat": ValueError("x")})
    assert feed.signature.validate({"cat": {"lives": 3}}) == {"cat": Cat(lives=3)}


def test_it_is_refused_where_the_step_is_called(drive: Drive):
    @step
    async def decide(decision: Approved | Rejected, kind: Literal["a"] = "a") -> None: ...

    @workflow
    async def careless() -> Any:
        try:
            await decide(Rejected(by="Grace"))
        except SerializationError as error:
            return await work(str(error))

    run = drive(careless)
    assert "decision: the Rejected would come back as the Approved" in run.input_of("s1")["item"]


class Priced(BaseModel):
    amount: Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
    rest: dict[str, Any] = {}

    @functools.cached_property
    def doubled(self) -> Decimal:
        return self.amount * 2


class Refused(BaseModel):
    reason: str


@pytest.mark.parametrize("amount", ["10.5", "10.10", "10"])
def test_a_number_that_its_own_serializer_writes_is_the_same_number(amount: str):
    codec = Codec(Priced, "value")
    assert codec.decode(codec.encode(Priced(amount=Decimal(amount)))).amount == Decimal(amount)


def test_what_a_model_keeps_beside_its_fields_is_not_lost_by_a_union():
    priced = Priced(amount=Decimal("1.5"))
    assert priced.doubled == 3
    codec = Codec(list[Priced] | list[Refused], "value")
    assert codec.decode(codec.encode([priced])) == [Priced(amount=Decimal("1.5"))]


def test_anything_within_a_union_is_the_json_that_it_becomes():
    at = datetime(2026, 2, 3, tzinfo=UTC)
    codec = Codec(list[Priced] | list[Refused], "value")
    form = codec.encode([Priced(amount=Decimal(1), rest={"at": at})])
    assert codec.decode(form)[0].rest == {"at": "2026-02-03T00:00:00Z"}


@pytest.mark.parametrize("number", [math.inf, math.nan])
def test_a_number_that_would_become_nothing_is_refused(number: float):
    with pytest.raises(SerializationError, match=r"would come back as None"):
        Codec(Priced, "value").encode(Priced(amount=Decimal(1), rest={"loss": number}))
