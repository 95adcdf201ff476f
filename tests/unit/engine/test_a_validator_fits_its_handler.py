"""A validator that could not be called as its handler is refused where it is registered."""

from typing import Any

import pytest

from tests.support.driver import Drive
from worldflow import ConfigurationError, on_update, wait_for_signal, workflow
from worldflow.engine.history import UpdateReceived


async def look(amount: int) -> None:
    raise ValueError(amount)


async def is_async(amount: int) -> None: ...
def has_other_parameters(sum: int) -> None: ...


@workflow
async def validated_wrongly(which: int) -> None:
    validators: list[Any] = [is_async, has_other_parameters]

    @on_update("pay", validator=validators[which])
    def pay(amount: int) -> None: ...

    await wait_for_signal("end")


@pytest.mark.parametrize(
    ("which", "problem"), [(0, "must be a plain function, not async"), (1, r"handler \(amount\), not \(sum\)")]
)
def test_it_is_refused(drive: Drive, which: int, problem: str):
    with pytest.raises(ConfigurationError, match=problem):
        drive(validated_wrongly, which).result()


def test_one_that_returns_a_coroutine_refuses_all(drive: Drive):
    @workflow
    async def validated_by_a_coroutine() -> None:
        @on_update("pay", validator=lambda amount: look(amount))
        def pay(amount: int) -> None: ...

        await wait_for_signal("end")

    validator = drive(validated_by_a_coroutine).live.inbox.validator("pay")
    assert validator is not None
    refusal = validator.refusal(UpdateReceived(update_id="u", name="pay", args=[1]))
    assert isinstance(refusal, ConfigurationError) and "must be a plain function, not async" in str(refusal)
