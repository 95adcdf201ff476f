"""The code of docs/guide/errors.md, run."""

import asyncio
import re
from decimal import Decimal
from pathlib import Path

import pytest

import worldflow
from tests.docs.models import ORDER, CardDeclined, Order
from worldflow import BenignError, FatalError, InvalidInputError, RetryPolicy, RunFailedError, StepError, step, workflow
from worldflow.testing import WorkflowEnvironment

PAGE = Path(__file__).parents[2] / "docs/guide/errors.md"


class TooMuch(Exception):
    def __init__(self, limit: Decimal) -> None:
        super().__init__(f"the limit is {limit}")
        self.limit = str(limit)


def test_the_errors_of_the_page_are_all_there_is() -> None:
    named = set(re.findall(r"[├└]── (\w+)", PAGE.read_text()))
    errors = {
        name
        for name in worldflow.__all__
        if isinstance(cls := getattr(worldflow, name), type) and issubclass(cls, Exception)
    }
    assert named <= errors


async def test_a_failure_that_is_expected() -> None:
    class CardDeclined(BenignError, FatalError):
        """The bank's answer is final, and no fault of ours."""

    @step
    async def charge(order: Order) -> str:
        raise CardDeclined("no funds")

    @workflow
    async def buy(order: Order) -> str:
        return await charge(order)

    async with WorkflowEnvironment() as env:
        run = await env.start(buy, ORDER)
        with pytest.raises(RunFailedError, match="no funds"):
            await run.result()
        assert await run.status() == "failed"


async def test_what_a_step_raised_is_caught() -> None:
    @step
    async def charge(order: Order) -> str:
        raise CardDeclined("no funds")

    @workflow
    async def fulfil_order(order: Order) -> str:
        try:
            return await charge(order)
        except CardDeclined as declined:
            return f"declined: {declined}"

    async with WorkflowEnvironment() as env:
        assert await (await env.start(fulfil_order, ORDER)).result() == "declined: no funds"


async def test_it_keeps_its_attributes_notes_and_cause() -> None:
    @step(retry=RetryPolicy(max_attempts=1))
    async def charge(order: Order) -> str:
        try:
            raise ConnectionError("no answer")
        except ConnectionError as error:
            too_much = TooMuch(Decimal("9.50"))
            too_much.add_note("on Sundays")
            raise too_much from error

    @workflow
    async def fulfil_order(order: Order) -> list[str]:
        try:
            return [await charge(order)]
        except TooMuch as error:
            return [str(error), error.limit, *error.__notes__, repr(error.__cause__)]

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        assert await run.result() == ["the limit is 9.50", "9.50", "on Sundays", "ConnectionError('no answer')"]


async def test_what_cannot_be_rebuilt_is_a_step_error() -> None:
    @step(retry=RetryPolicy(max_attempts=1))
    async def charge(order: Order) -> str:
        class Secret(Exception):
            pass

        raise Secret("who knows")

    @workflow
    async def fulfil_order(order: Order) -> list[str]:
        try:
            return [await charge(order)]
        except StepError as error:
            return [error.type_name, str(error)]

    async with WorkflowEnvironment() as env:
        type_name, text = await (await env.start(fulfil_order, ORDER)).result()
        assert type_name.endswith("<locals>.Secret")
        assert text.endswith("Secret: who knows")


async def test_groups() -> None:
    @step
    async def reserve(sku: str) -> str:
        if sku.startswith("SOLD-OUT"):
            raise FatalError(f"{sku} is sold out")
        return sku

    @workflow
    async def reserve_all(skus: list[str]) -> list[str]:
        tasks: list[asyncio.Task[str]] = []
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(reserve(sku)) for sku in skus]
        except* FatalError as errors:
            problems = [str(error) for error in errors.exceptions]
        else:
            problems = []
        return problems or [task.result() for task in tasks]

    @workflow
    async def reserve_both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(reserve("SOLD-OUT-1"))

    async with WorkflowEnvironment() as env:
        assert await (await env.start(reserve_all, ["a", "SOLD-OUT-1"])).result() == ["SOLD-OUT-1 is sold out"]
        assert await (await env.start(reserve_all, ["a", "b"])).result() == ["a", "b"]
        run = await env.start(reserve_both)
        with pytest.raises(RunFailedError) as failed:
            await run.result()
        with pytest.raises(ExceptionGroup) as group:
            raise failed.value.__cause__ or AssertionError
        assert isinstance(group.value.exceptions[0], FatalError)


async def test_from_outside() -> None:
    shown: list[str] = []

    @step
    async def charge(order: Order) -> str:
        raise CardDeclined("no funds")

    @workflow
    async def fulfil_order(order: Order) -> str:
        return await charge(order)

    def tell(text: str) -> None:
        shown.append(text)

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)

        try:
            await run.result()
        except RunFailedError as failed:
            if isinstance(failed.__cause__, CardDeclined):
                tell("your card was declined")

        assert shown == ["your card was declined"]
        with pytest.raises(InvalidInputError) as refused:
            await env.orchestrator.start_workflow("order-1", fulfil_order, {"order": {"total": "much"}})
        assert [field.field for field in refused.value.fields] == ["order.total"]
