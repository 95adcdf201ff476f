"""Entities: their calls run one at a time, from workflows and from outside, and their state lasts."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.support.scenarios import Env
from worldflow import (
    Entity,
    EntityLockLostError,
    InvalidInputError,
    WorldflowError,
    entity,
    sleep,
    step,
    workflow,
)
from worldflow.engine.history import Replied
from worldflow.engine.workflow import entity_runs


class Overdrawn(Exception):
    pass


@step
async def audit_of_entity(amount: int) -> int:
    return amount


@entity
class BehavedAccount(Entity):
    balance: int = 0
    notes: list[str] = []  # noqa: RUF012 - of each entity its own

    async def deposit(self, amount: int, note: str = "") -> int:
        """Adds an amount."""
        self.balance += await audit_of_entity(amount)
        self.notes.append(note)
        return self.balance

    async def withdraw(self, amount: int) -> int:
        self.balance -= amount
        if self.balance < 0:
            raise Overdrawn(f"{self.key} has too little")
        return self.balance

    async def read(self) -> tuple[int, list[str]]:
        return self.balance, self.notes

    async def slow(self, amount: int) -> int:
        before = self.balance
        await sleep("1m")
        self.balance = before + amount
        return self.balance

    async def transfer(self, to: str, amount: int) -> int:
        await self.withdraw(amount)
        return await BehavedAccount(to).deposit(amount)

    async def ask_itself(self) -> None:
        await BehavedAccount(self.key).read()


async def test_calls_from_outside(env: Env) -> None:
    alice = env.orchestrator.entity(BehavedAccount, "alice")
    assert await env.drive(alice.deposit(5, note="a")) == 5
    assert await env.drive(alice.signal.deposit(2)) is None
    await env.restart()
    with pytest.raises(Overdrawn, match="alice has too little"):
        await env.drive(alice.withdraw(8))
    assert await env.drive(alice.read()) == (7, ["a", ""])
    assert await env.drive(env.orchestrator.entity(BehavedAccount, "bob").read()) == (0, [])
    assert await env.orchestrator.run("BehavedAccount@alice").query("state") == {"balance": 7, "notes": ["a", ""]}


async def test_calls_from_workflows(env: Env) -> None:
    @workflow
    async def pays_entities() -> list[Any]:
        alice = BehavedAccount("alice")
        got: list[Any] = [*await asyncio.gather(alice.deposit(5), alice.deposit(6, note="b"))]
        try:
            await alice.withdraw(99)
        except Overdrawn as error:
            got.append(str(error))
        await alice.signal.deposit(1)
        return [*got, await alice.read()]

    run = await env.start(pays_entities)
    await env.restart()
    assert await run.result() == [5, 11, "alice has too little", [12, ["", "b", ""]]]


async def test_calls_run_one_at_a_time(env: Env) -> None:
    @workflow
    async def adds_slowly() -> int:
        return await BehavedAccount("slow").slow(1)

    runs = [await env.start(adds_slowly) for _ in range(3)]
    await env.advance("1h")
    assert sorted([await run.result() for run in runs]) == [1, 2, 3]


async def test_entities_call_each_other_and_not_themselves(env: Env) -> None:
    alice = env.orchestrator.entity(BehavedAccount, "alice")
    await env.drive(alice.deposit(5))
    assert await env.drive(alice.transfer("bob", 3)) == 3
    with pytest.raises(WorldflowError, match="cannot call itself"):
        await env.drive(alice.ask_itself())
    assert (await env.drive(alice.read()))[0] == 2


async def test_the_state_goes_on_to_the_next_generation(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entity_runs, "LONG", 10)

    @workflow
    async def fills_long(times: int) -> int:
        for _ in range(times):
            await BehavedAccount("long").deposit(1)
        return (await BehavedAccount("long").read())[0]

    assert await (await env.start(fills_long, 8)).result() == 8
    assert (await env.handle("BehavedAccount@long").record()).run_id != "BehavedAccount@long"
    assert await env.drive(env.orchestrator.entity(BehavedAccount, "long").deposit(1)) == 9


@workflow
async def moves_under_lock(key: str, hold: int) -> int:
    account = BehavedAccount(key)
    async with account.lock(lease="10m"):
        before = (await account.read())[0]
        await sleep(hold)
        return await account.deposit(10 - before)


async def test_a_lock_keeps_others_out(env: Env) -> None:
    @workflow
    async def deposits_once() -> int:
        return await BehavedAccount("locked").deposit(1)

    first = await env.start(moves_under_lock, "locked", 60)
    other = await env.start(deposits_once)
    second = await env.start(moves_under_lock, "locked", 60)
    await env.advance("30s")
    assert await other.status() == "running"
    await env.advance("1h")
    assert (await first.result(), await other.result(), await second.result()) == (10, 11, 10)


async def test_a_lock_ends_with_its_lease(env: Env) -> None:
    @workflow
    async def holds_too_long() -> str:
        account = BehavedAccount("leased")
        try:
            async with account.lock(lease="1m"):
                await sleep("5m")
                await account.deposit(1)
        except EntityLockLostError as error:
            return str(error)
        return ""

    run = await env.start(holds_too_long)
    after = await env.start(moves_under_lock, "leased", 1)
    assert await after.result() == 10
    assert "the lease of the lock of BehavedAccount@leased has ended" in await run.result()


async def test_a_wait_for_a_lock_that_is_given_up_leaves_none(env: Env) -> None:
    @workflow
    async def gives_up() -> str:
        try:
            async with asyncio.timeout(30), BehavedAccount("wanted").lock(lease="1h"):
                return "locked"
        except TimeoutError:
            return "gave up"

    first = await env.start(moves_under_lock, "wanted", 300)
    began = env.now()
    impatient = await env.start(gives_up)
    await env.advance("1m")
    assert await impatient.result() == "gave up"
    await env.advance("10m")
    assert await first.result() == 10
    assert await (await env.start(moves_under_lock, "wanted", 1)).result() == 10
    assert env.now() - began < timedelta(minutes=30)


async def test_an_entity_that_is_cancelled_answers_all_and_begins_anew(env: Env) -> None:
    @workflow
    async def asks_slowly(amount: int) -> str:
        try:
            return str(await BehavedAccount("gone").slow(amount))
        except WorldflowError as error:
            return type(error).__name__

    runs = [await env.start(asks_slowly, n) for n in range(2)]
    await env.handle("BehavedAccount@gone").cancel()
    assert [await run.result() for run in runs] == ["RunEndedError", "RunEndedError"]
    runs = [await env.start(asks_slowly, n) for n in range(2)]
    await env.handle("BehavedAccount@gone").terminate()
    assert [await run.result() for run in runs] == ["RunEndedError", "RunEndedError"]
    assert await env.drive(env.orchestrator.entity(BehavedAccount, "gone").deposit(1)) == 1


async def test_an_operation_that_is_none_is_refused(env: Env) -> None:
    alice = env.orchestrator.entity(BehavedAccount, "alice")
    await env.drive(alice.read())
    with pytest.raises(InvalidInputError, match="has no operation 'steal'; it has: ask_itself, deposit"):
        await env.drive(env.orchestrator.update("BehavedAccount@alice", "steal"))
    with pytest.raises(InvalidInputError, match="amount"):
        await env.drive(alice.deposit("much"))  # type: ignore[arg-type]
    assert await env.drive(env.orchestrator.update("BehavedAccount@alice", "deposit", 3)) == 3
    assert len(await env.handle("BehavedAccount@alice").found(Replied)) == 3
