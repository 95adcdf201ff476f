"""The code of docs/guide/steps.md, run."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from tests.docs.models import ORDER, CardDeclined, Order, Receipt
from worldflow import (
    RetryableError,
    RetryPolicy,
    StepInterruptedError,
    StepTimeoutError,
    configured,
    record_usage,
    step,
    step_info,
    workflow,
)
from worldflow.testing import WorkflowEnvironment
from worldflow.worlds import ledger

PRICES = {"KEYBOARD": Decimal(150), "SCREEN": Decimal(320)}


class Bank:
    """Answers with what it is given, exceptions first."""

    def __init__(self, *answers: BaseException) -> None:
        self.answers = list(answers)
        self.keys: list[str] = []

    async def charge(self, card: str, amount: Decimal, idempotency_key: str = "") -> Receipt:
        self.keys.append(idempotency_key)
        if self.answers:
            raise self.answers.pop(0)
        return Receipt(charge_id=idempotency_key, amount=amount)


async def test_a_step_that_fails_is_tried_again() -> None:
    bank = Bank(ConnectionError("no answer"), ConnectionError("no answer"))

    @step
    async def charge(order: Order) -> Receipt:
        return await bank.charge(order.card, order.total, idempotency_key=step_info().idempotency_key)

    @workflow
    async def fulfil_order(order: Order) -> Receipt:
        return await charge(order)

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        assert (await run.result()).charge_id == "test-1/s1"
    assert bank.keys == ["test-1/s1"] * 3


async def test_a_step_of_an_instance() -> None:
    async def post(url: str, order: Order) -> str:
        return f"{url}/{order.order_id}"

    class Bank:
        def __init__(self, url: str) -> None:
            self.url = url

        @step
        async def charge(self, order: Order) -> str:
            return await post(f"{self.url}/charges", order)

        @workflow
        async def settle(self, order: Order) -> str:
            return await self.charge(order)

    bank = configured(Bank("https://bank.example"), name="bank")

    async with WorkflowEnvironment() as env:
        run = await env.start(bank.settle, ORDER)
        assert await run.result() == "https://bank.example/charges/1001"
        assert env.world.read_run(run.id).workflow_name == "bank.settle"


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (ConnectionError("no answer"), 5),
        (CardDeclined("no"), 1),
        (ValueError("what?"), 1),
    ],
)
async def test_a_policy_says_what_is_tried_again(error: Exception, attempts: int) -> None:
    bank = Bank(*[error] * 5)

    @step(
        retry=RetryPolicy(
            max_attempts=5,
            initial_interval="1s",
            backoff=2.0,
            max_interval="30s",
            jitter=0.5,
            total_time="10m",
            non_retryable=(CardDeclined,),
            retry_if=lambda error: not isinstance(error, ValueError),
        )
    )
    async def charge(order: Order) -> Receipt:
        return await bank.charge(order.card, order.total)

    @workflow
    async def fulfil_order(order: Order) -> str:
        try:
            await charge(order)
        except type(error) as caught:
            return str(caught)
        return "charged"

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        assert await run.result() == str(error)
    assert len(bank.keys) == attempts


async def test_total_time_bounds_when_an_attempt_begins() -> None:
    bank = Bank(*[ConnectionError("no answer")] * 20)

    @step(retry=RetryPolicy(max_attempts=20, total_time="10s", jitter=0))
    async def charge(order: Order) -> Receipt:
        return await bank.charge(order.card, order.total)

    @workflow
    async def fulfil_order(order: Order) -> Receipt:
        return await charge(order)

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        with pytest.raises(Exception, match="no answer"):
            await run.result()
    assert len(bank.keys) == 4  # at 0, 1, 3 and 7 s; the next would be at 15 s


async def test_a_step_chooses_its_own_interval() -> None:
    bank = SimpleNamespace(busy=True)

    @step
    async def charge(order: Order) -> str:
        if bank.busy:
            raise RetryableError("the bank is busy", retry_after="30s")
        return "charged"

    @workflow
    async def fulfil_order(order: Order) -> str:
        return await charge(order)

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        await env.advance("29s")
        assert await run.status() == "running"
        bank.busy = False
        await env.advance("1s")
        assert await run.status() == "completed"


async def test_a_timeout_holds_for_each_attempt() -> None:
    tries: list[int] = []

    class Bank:
        async def charge(self, card: str, amount: Decimal) -> Receipt:
            tries.append(1)
            await asyncio.sleep(60 if len(tries) == 1 else 0)
            return Receipt(charge_id="c", amount=amount)

    bank = Bank()

    @step(timeout="10s")
    async def charge(order: Order) -> Receipt:
        return await bank.charge(order.card, order.total)

    @workflow
    async def fulfil_order(order: Order) -> Receipt:
        return await charge.options(timeout=0.01)(order)

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        assert (await run.result()).charge_id == "c"
        (failed,) = [event for event in await run.events() if event.event_type == "StepFailed"]
        assert failed.error.type == "worldflow.engine.errors:StepTimeoutError"
        assert issubclass(StepTimeoutError, TimeoutError)


async def test_options_are_for_one_call() -> None:
    bank = Bank(*[ConnectionError("no answer")] * 3)

    @step
    async def charge(order: Order) -> Receipt:
        return await bank.charge(order.card, order.total)

    @workflow
    async def fulfil_order(order: Order) -> Receipt | None:
        try:
            receipt = await charge.options(timeout="2m", retry=RetryPolicy(max_attempts=2))(order)
        except ConnectionError:
            return None
        return receipt

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        assert await run.result() is None
    assert len(bank.keys) == 2
    assert charge.retry.max_attempts == 4


async def test_the_next_attempt_goes_on_where_the_last_one_got_to() -> None:
    stored: list[str] = []

    def rows(path: str, start: int) -> list[str]:
        return ["a", "b", "c", "d"][start:]

    def store(row: str) -> None:
        if row == "c" and len(stored) == 2:
            stored.append("")
            raise ConnectionError("gone")
        stored.append(row)

    @step(heartbeat_timeout="30s")
    def load(path: str) -> int:
        done = step_info().heartbeat_details or 0
        for row in rows(path, start=done):
            store(row)
            done += 1
            step_info().heartbeat(done)
        return done

    @workflow
    async def load_all(path: str) -> int:
        return await load(path)

    async with WorkflowEnvironment() as env:
        run = await env.start(load_all, "x")
        assert await run.result() == 4
    assert stored == ["a", "b", "", "c", "d"]


async def test_a_step_that_may_have_paid_already_is_not_run_again() -> None:
    paid: list[str] = []

    class Bank:
        async def transfer(self, order: Order) -> str:
            paid.append(order.order_id)
            return "paid"

    bank = Bank()

    @step
    async def ask_the_bank(order: Order) -> str:
        return "asked"

    @step(guarantee="at_most_once")
    async def pay_out(order: Order) -> str:
        return await bank.transfer(order)

    @workflow
    async def refund_order(order: Order) -> str:
        try:
            return await pay_out(order)
        except StepInterruptedError:
            return await ask_the_bank(order)

    async with WorkflowEnvironment() as env:
        run = await env.start(refund_order, ORDER)
        assert await run.result() == "paid"
        ledger.claim(env.world, "test-2", "s1", 1)  # an executor that died
        run = await env.start(refund_order, ORDER)
        assert await run.result() == "asked"
    assert paid == ["1001"]


async def test_inline_steps_run_in_the_turn() -> None:
    @step(inline=True)
    def price(sku: str) -> Decimal:
        return PRICES[sku]

    @workflow(inline_steps=True)
    async def quote(skus: list[str]) -> Decimal:
        return sum([await price(sku) for sku in skus], Decimal(0))

    async with WorkflowEnvironment() as env:
        run = await env.start(quote, ["KEYBOARD", "SCREEN"])
        assert await run.result() == 470
        inline = [event.inline for event in await run.events() if event.event_type == "StepScheduled"]
        assert inline == [True, True]


async def test_steps_that_may_run_again() -> None:
    class rules:
        @staticmethod
        def best(order: Order) -> Decimal:
            return order.total / 10

    class bank:
        @staticmethod
        async def rate(currency: str) -> Decimal:
            return Decimal("0.5")

    @step(inline=True, guarantee="pure")
    def discount(order: Order) -> Decimal:
        return rules.best(order)

    @step(guarantee="repeatable")
    async def exchange_rate(currency: str) -> Decimal:
        return await bank.rate(currency)

    @workflow
    async def fulfil_order(order: Order) -> Decimal:
        return (await discount(order) + await discount(order)) * await exchange_rate("EUR")

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, ORDER)
        assert await run.result() == Decimal(3)


async def test_outside_a_workflow_a_step_is_the_function() -> None:
    @step
    def double(number: int) -> int:
        return number * 2

    assert double(2) == 4  # type: ignore[comparison-overlap]  # its type is that of a call in a workflow


async def test_a_step_records_tokens() -> None:
    @dataclass
    class Response:
        model: str
        usage: Any
        text: str

    class client:
        @staticmethod
        async def ask(model: str, question: str) -> Response:
            return Response(model, SimpleNamespace(input_tokens=len(question), output_tokens=2), "42")

    @step
    async def answer(question: str) -> str:
        response = await client.ask("claude-sonnet-4-5", question)
        record_usage(
            response.model,
            input_tokens=response.usage.input_tokens,
            output_tokens=response.usage.output_tokens,
        )
        return response.text

    @workflow
    async def conversation(question: str) -> str:
        return await answer(question)

    async with WorkflowEnvironment() as env:
        run = await env.start(conversation, "six times seven?")
        assert await run.result() == "42"
        assert await run.usage() == [{"model": "claude-sonnet-4-5", "input_tokens": 16, "output_tokens": 2}]
