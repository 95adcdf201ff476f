"""The code of docs/guide/entities.md, run."""

import asyncio

import pytest

from worldflow import Entity, EntityLockLostError, entity, step, workflow
from worldflow.testing import WorkflowEnvironment


@step
async def book(key: str, amount: int) -> None: ...


@entity
class Account(Entity):
    balance: int = 0
    frozen: bool = False

    async def deposit(self, amount: int) -> int:
        self.balance += amount
        return self.balance

    async def withdraw(self, amount: int) -> int:
        if self.frozen or amount > self.balance:
            raise ValueError(f"{self.key} cannot pay {amount}")
        await book(self.key, -amount)
        self.balance -= amount
        return self.balance


async def test_calls() -> None:
    @workflow
    async def transfer(source: str, target: str, amount: int) -> int:
        await Account(source).withdraw(amount)
        return await Account(target).deposit(amount)

    async with WorkflowEnvironment() as env:
        orchestrator = env.orchestrator

        balance = await orchestrator.entity(Account, "alice").deposit(5)
        await orchestrator.entity(Account, "alice").signal.deposit(2)

        assert balance == 5
        assert await (await env.start(transfer, "alice", "bob", 4)).result() == 4
        assert await orchestrator.run("Account@alice").query("state") == {"balance": 3, "frozen": False}
        for _ in range(2):
            balance = await orchestrator.update_with_start(
                "Account@alice", "entity:Account", {}, update="deposit", args=[5], update_id="payment-7"
            )
            assert balance == 8
        await orchestrator.entity(Account, "alice").withdraw(5)
        with pytest.raises(ValueError, match="alice cannot pay 4"):
            await orchestrator.entity(Account, "alice").withdraw(4)


async def test_a_lock() -> None:
    @workflow
    async def close(key: str, heir: str) -> int:
        account = Account(key)
        async with account.lock(lease="30s"):
            rest = await account.deposit(0)
            await account.withdraw(rest)
            return await Account(heir).deposit(rest)

    @workflow
    async def close_slowly(key: str) -> str:
        try:
            async with Account(key).lock(lease="30s"):
                await asyncio.sleep(60)
                await Account(key).deposit(0)
        except EntityLockLostError as error:
            return str(error)
        return "in time"

    async with WorkflowEnvironment() as env:
        await env.orchestrator.entity(Account, "alice").deposit(5)
        assert await (await env.start(close, "alice", "bob")).result() == 5
        assert "has ended" in await (await env.start(close_slowly, "alice")).result()
