"""Methods that are workflows and steps."""

from collections.abc import AsyncIterator
from typing import assert_type

from worldflow import configured, step, workflow
from worldflow.runtime import Orchestrator


class Bank:
    def __init__(self, url: str) -> None:
        self.url = url

    @step
    async def charge(self, card: str, amount: int = 1) -> str:
        return f"{self.url}/{card}/{amount}"

    @step(timeout="10s")
    def check(self, card: str) -> bool:
        return bool(card)

    @step(stream="rates")
    async def rates(self, currency: str) -> AsyncIterator[float]:
        yield 1.0

    @step
    @classmethod
    async def holidays(cls, year: int) -> list[str]:
        return [str(year)]

    @staticmethod
    @step(name="types_is_valid")
    async def is_valid(card: str) -> bool:
        return bool(card)

    @workflow
    async def buy(self, card: str) -> str:
        assert_type(await self.charge(card), str)
        assert_type(await self.charge.options(timeout="10s")(card, amount=2), str)
        assert_type(await self.check(card), bool)
        assert_type(await self.rates("EUR"), list[float])
        assert_type(await self.holidays(2026), list[str])
        assert_type(await Bank.holidays(2026), list[str])
        assert_type(await Bank.is_valid(card), bool)  # type: ignore[call-arg]  # mypy takes it for a class method
        await self.charge(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await self.charge()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        return await self.charge(card, 3)


bank = configured(Bank("https://bank.example"), name="types_bank")
assert_type(bank, Bank)


async def start(orchestrator: Orchestrator) -> None:
    run = await orchestrator.start_workflow("order-1", bank.buy, {"card": "4242"})
    assert_type(await run.result(), str)
