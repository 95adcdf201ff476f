"""A published function may take arguments, which a query gives by name."""

from decimal import Decimal
from typing import Any

import pytest

from tests.support.driver import Drive, Driver
from worldflow import InvalidInputError, publish, wait_for_signal, workflow

RATES = {"EUR": Decimal(1), "USD": Decimal("1.1")}


@workflow
async def quoting() -> None:
    amounts = [Decimal(10), Decimal(20)]

    def total(currency: str, digits: int = 2) -> str:
        return f"{sum(amounts) * RATES[currency]:.{digits}f} {currency}"

    publish("total", total)
    publish("amounts", amounts)
    await wait_for_signal("end")


def ask(run: Driver, name: str, **arguments: Any) -> Any:
    asked = run.replay()
    try:
        return asked.query(name, arguments)
    finally:
        asked.dispose()


def test_arguments_are_given_by_name_and_defaults_hold(drive: Drive):
    run = drive(quoting)

    assert ask(run, "total", currency="USD") == "33.00 USD"
    assert ask(run, "total", currency="EUR", digits=0) == "30 EUR"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "currency: required, but missing"),
        ({"currency": "EUR", "digits": "two"}, "digits: "),
        ({"currency": "EUR", "place": 1}, "place: no such parameter"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(drive: Drive, given: dict[str, Any], problem: str):
    with pytest.raises(InvalidInputError) as refused:
        ask(drive(quoting), "total", **given)

    assert "does not fit total(currency" in refused.value.summary
    assert problem in str(refused.value)


def test_a_value_takes_none(drive: Drive):
    with pytest.raises(InvalidInputError, match="takes no arguments: a value is published"):
        ask(drive(quoting), "amounts", currency="EUR")
