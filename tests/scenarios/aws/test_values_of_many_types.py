"""Results come back as the types that the annotations name, when they were made and when they are replayed."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from tests.support.scenarios import Env
from worldflow import SerializationError, sleep, step, workflow


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: int


class Drawing(BaseModel):
    title: str
    points: list[Point]
    colour: Colour
    made: datetime


VALUES: list[tuple[Any, Any]] = [
    (dict[str, list[int]], {"a": [1, 2], "b": []}),
    (datetime, datetime(2026, 5, 1, 12, 30, tzinfo=UTC)),
    (date, date(2026, 5, 1)),
    (timedelta, timedelta(days=2, milliseconds=5)),
    (Decimal, Decimal("12.340")),
    (UUID, UUID("6f0c4c1e-5b1a-4d6f-9c53-7f4f0e6f2b11")),
    (bytes, b"\x00\xff"),
    (set[int], {1, 2}),
    (tuple[int, str], (1, "one")),
    (Point | None, None),
    (
        Drawing,
        Drawing(title="D", points=[Point(1, 2)], colour=Colour.RED, made=datetime(2026, 1, 1, tzinfo=UTC)),
    ),
]


async def test_results(env: Env) -> None:
    steps = [_returning(number, kind, value) for number, (kind, value) in enumerate(VALUES)]

    @workflow
    async def making() -> list[str]:
        made = [await make() for make in steps]
        await sleep("1s")
        return [
            f"{one!r} and not {value!r}" for one, (_, value) in zip(made, VALUES, strict=True) if not _same(one, value)
        ]

    assert await env.run(making) == []


async def test_arguments(env: Env) -> None:
    @workflow
    async def checking(drawing: Drawing, amounts: dict[str, Decimal]) -> bool:
        await sleep("1s")
        return _same(drawing, VALUES[-1][1]) and _same(amounts, {"a": Decimal("1.10")})

    assert await env.run(checking, VALUES[-1][1], {"a": Decimal("1.10")}) is True


def _returning(number: int, kind: Any, value: Any) -> Any:
    async def make():  # type: ignore[no-untyped-def]
        return value

    make.__annotations__["return"] = kind
    return step(name=f"make_{number}")(make)


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


async def test_what_cannot_be_carried_fails_the_step_at_once(env: Env) -> None:
    ran: list[int] = []

    @step
    async def make() -> Any:
        ran.append(1)
        return object()

    @workflow
    async def making() -> str:
        try:
            await make()
        except SerializationError:
            return "refused"
        return "carried"

    assert await env.run(making) == "refused"
    assert ran == [1]
