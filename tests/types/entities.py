"""Calls of entities, updates and queries with arguments."""

from typing import assert_type

from worldflow import Entity, entity, workflow
from worldflow.runtime import Orchestrator


@entity
class TypedAccount(Entity):
    balance: int = 0

    async def deposit(self, amount: int, *, note: str = "") -> int:
        self.balance += amount
        assert_type(self.key, str)
        return self.balance


@entity(name="typed_other", inline_steps=True)
class TypedOther(Entity):
    names: tuple[str, ...] = ()

    async def read(self) -> tuple[str, ...]:
        return self.names


@workflow
async def calls_typed_entities() -> None:
    account = TypedAccount("alice")
    assert_type(await account.deposit(5), int)
    assert_type(await TypedOther("x").read(), tuple[str, ...])
    async with account.lock(lease="30s"):
        await account.signal.deposit(1, note="n")
    await account.deposit("5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def from_outside(orchestrator: Orchestrator) -> None:
    assert_type(await orchestrator.entity(TypedAccount, "alice").deposit(5), int)
    run = orchestrator.run("r")
    handle = await run.start_update("add", 1, type=int)
    assert_type(await handle.result(), int)
    assert_type(await run.query("total", int, currency="EUR"), int)
    added = await orchestrator.update_with_start("r", calls_typed_entities, update="add", args=[1], type=int)
    assert_type(added, int)
