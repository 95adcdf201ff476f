"""Steps and workflows that are methods: every process finds the instance by its name."""

from __future__ import annotations

from tests.support.systems import System, finish, signal, start
from worldflow import configured, step, wait_for_signal, workflow


class Till:
    def __init__(self, currency: str) -> None:
        self.currency = currency

    @step
    async def take(self, amount: int) -> str:
        return f"{amount} {self.currency}"

    @workflow
    async def take_twice(self, amount: int) -> list[str]:
        first = await self.take(amount)
        await wait_for_signal("go-on")
        return [first, await self.take.options(inline=True)(amount)]

    @workflow
    async def take_in_a_child(self, amount: int) -> list[str]:
        return await self.take_twice.options(run_id="child")(amount)


euros = configured(Till("EUR"), name="till_euros")
pounds = configured(Till("GBP"), name="till_pounds")


def test_a_run_goes_on_in_another_process(system: System) -> None:
    start(system, "r", euros.take_in_a_child, amount=5)
    start(system, "s", pounds.take_twice, amount=6)
    system.restart()
    signal(system, "child", "go-on")
    signal(system, "s", "go-on")

    assert finish(system, "r").result == ["5 EUR", "5 EUR"]
    assert finish(system, "s").result == ["6 GBP", "6 GBP"]
    assert system.world.read_run("child").workflow_name == "till_euros.take_twice"
