"""The form of a workflow's arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel, Field

from tests.console.conftest import Pages
from tests.support.systems import System, finish
from worldflow import workflow


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Address(BaseModel):
    city: str = Field(description="Where it goes")
    zip: int | None = None


@dataclass
class ConsoleOrder:
    customer: str
    amount: float
    address: Address
    colour: Colour = Colour.RED
    gift: bool = False
    tags: list[str] = field(default_factory=list)


@workflow
async def console_order(order: ConsoleOrder, note: str = "none") -> str:
    return f"{order.customer} {order.amount} {order.address.city} {order.colour} {order.gift} {order.tags} {note}"


FORM = "/start"
GIVEN = {"order.customer": "Ada", "order.amount": "1.5", "order.address.city": "Graz"}


def test_each_part_of_a_type_has_a_field_of_its_kind(pages: Pages) -> None:
    page = pages.text(FORM, workflow="console_order")
    assert 'name="order.address.city"' in page and "Where it goes" in page
    assert "<option>green</option>" in page
    assert 'type="checkbox" id="f-order-gift" name="order.gift"' in page
    assert '<textarea id="f-order-tags" name="order.tags"' in page


def test_a_run_is_started_with_what_was_typed(system: System, pages: Pages) -> None:
    given = {**GIVEN, "order.colour": "green", "order.gift": "true", "order.tags": '["new"]', ".run_id": "typed"}
    done = pages.send("/start?workflow=console_order", given, page=FORM + "?workflow=console_order")
    assert done.status == 303, done.text
    assert finish(system, "typed").result == "Ada 1.5 Graz green True ['new'] none"


def test_what_is_left_empty_has_its_default(system: System, pages: Pages) -> None:
    pages.send("/start?workflow=console_order", {**GIVEN, "order.colour": "red", ".run_id": "empty"})
    assert finish(system, "empty").result == "Ada 1.5 Graz red False [] none"


def test_what_does_not_fit_stands_beside_its_field(pages: Pages) -> None:
    given = {**GIVEN, "order.amount": "much", "order.colour": "red"}
    answer = pages.send("/start?workflow=console_order", given)
    assert answer.status == 422
    wrong = answer.text.partition('id="f-order-amount"')[2].partition("</div>")[0]
    assert 'value="much"' in wrong and "must be a number" in wrong
    assert 'value="Ada"' in answer.text


def test_what_the_type_refuses_stands_beside_its_field(pages: Pages) -> None:
    answer = pages.send("/start?workflow=console_order", {**GIVEN, "order.address.zip": "1.5", "order.colour": "red"})
    wrong = answer.text.partition('id="f-order-address-zip"')[2].partition("</div>")[0]
    assert answer.status == 422 and "valid integer" in wrong


def test_a_workflow_whose_code_is_not_here_is_started_with_json(system: System, pages: Pages) -> None:
    done = pages.send("/start?workflow=elsewhere", {"input": '{"a": 1}', ".run_id": "far"})
    assert done.status == 303
    assert system.world.read_run("far").input == {"a": 1}
    assert pages.send("/start?workflow=elsewhere", {"input": "[1]", ".run_id": "f"}).status == 422


def test_nor_is_it_known_what_a_dynamic_one_takes(system: System, pages: Pages) -> None:
    @workflow(dynamic=True)
    async def anything(arguments: dict[str, int]) -> int:
        return arguments["a"]

    assert 'name="input"' in pages.text(FORM, workflow="elsewhere")
    pages.send("/start?workflow=elsewhere", {"input": '{"a": 1}', ".run_id": "far"})
    assert finish(system, "far").result == 1
    assert "elsewhere" in pages.text("/runs/far")
