import asyncio
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import pytest
from pydantic import BaseModel

from tests.support.driver import START, Drive
from worldflow import OutsideError, SerializationError, wait_for_signal, workflow


class Approval(BaseModel):
    by: str
    limit: Decimal = Decimal(0)


@dataclass
class Move:
    to: tuple[int, int]


@pytest.mark.parametrize(
    ("type_", "sent", "read"),
    [
        (Approval, {"by": "me", "limit": "9.90"}, Approval(by="me", limit=Decimal("9.90"))),
        (Move, {"to": [1, 2]}, Move((1, 2))),
        (list[Approval], [{"by": "a"}], [Approval(by="a")]),
        (datetime, START.isoformat(), START),
        (Approval | None, None, None),
        (str, "text", "text"),
    ],
)
def test_a_signal_is_read_as_the_type_asked_for(drive: Drive, type_, sent, read):
    @workflow
    async def listen() -> bool:
        return await wait_for_signal("it", type_) == read

    run = drive(listen)
    run.signal("it", sent)
    assert run.result() is True


def test_without_a_type_it_is_the_json_that_was_sent(drive: Drive):
    @workflow
    async def listen() -> dict:
        return {"got": await wait_for_signal("it")}

    run = drive(listen)
    run.signal("it", {"by": ["me", 1.5, None, True]})
    assert run.result() == {"got": {"by": ["me", 1.5, None, True]}}


def test_a_signal_that_does_not_fit_is_spent_and_the_next_is_read(drive: Drive):
    @workflow
    async def listen() -> list[str]:
        try:
            await wait_for_signal("it", Approval, on_misfit="raise")
        except SerializationError as error:
            return [error.path, (await wait_for_signal("it", Approval)).by]
        return []

    run = drive(listen)
    run.signal("it", {"wrong": "one"})
    run.signal("it", {"by": "me"})
    assert run.result() == ["it", "me"]


def test_outside_a_workflow():
    with pytest.raises(OutsideError, match="wait_for_signal"):
        asyncio.run(wait_for_signal("it"))
