"""Methods as workflows and steps: their names, which instance they run on, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from worldflow import ConfigurationError, RunFailedError, configured, step, workflow
from worldflow.engine.workflow.definitions import find_step, find_workflow
from worldflow.runtime import Orchestrator
from worldflow.testing import WorkflowEnvironment


@dataclass
class Bank:
    url: str

    @step
    async def method_charge(self, order: str) -> str:
        return f"{self.url}/{order}"

    @step(name="look_up", inline=True)
    def method_look_up(self, order: str) -> str:
        return f"{order} at {self.url}"

    @step(stream="rates", returns=sum)
    async def method_rates(self, *rates: int) -> AsyncIterator[int]:
        for rate in rates:
            yield rate

    @step
    @classmethod
    async def method_holidays(cls, year: int) -> str:
        return f"{cls.__name__} {year}"

    @staticmethod
    @step
    async def method_is_static(card: str) -> str:
        return f"static {card}"

    @step
    @staticmethod
    async def method_is_static_too(card: str) -> str:
        return f"static {card}"

    @workflow
    async def method_buy(self, order: str) -> list[Any]:
        return [
            await self.method_charge(order),
            await self.method_look_up.options(timeout="10s")(order),
            await self.method_rates(1, 2, 3),
            await self.method_holidays(2026),
            await self.method_is_static("4242"),
            await Bank.method_is_static_too("4242"),
        ]


class Lender(Bank):
    @step
    async def method_charge(self, order: str) -> str:
        return f"lent by {self.url}"


home = configured(Bank("home"), name="method_home")
abroad = configured(Bank("abroad"), name="method_abroad")
lender = configured(Lender("lender"), name="method_lender")


@pytest.mark.parametrize(
    ("bank", "charged"),
    [(home, "home/tea"), (abroad, "abroad/tea"), (lender, "lent by lender")],
    ids=lambda one: str(one),
)
async def test_a_run_goes_by_its_own_instance(bank: Bank, charged: str) -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(bank.method_buy, "tea")

        assert await run.result() == [
            *(charged, f"tea at {bank.url}", 6, f"{type(bank).__name__} 2026", "static 4242", "static 4242"),
        ]
        assert env.world.read_run(run.id).workflow_name == bank.method_buy.name


def test_the_instance_is_part_of_the_name() -> None:
    assert find_workflow("method_abroad.method_buy").function.__self__ is abroad  # type: ignore[attr-defined]
    assert find_step("method_home.method_charge") is home.method_charge
    assert find_step("method_home.look_up").inline
    assert find_step("Bank.method_holidays").name == "Bank.method_holidays"
    assert find_step("method_is_static").name == "method_is_static"


def test_outside_a_workflow_it_is_the_method() -> None:
    nameless = Bank("nameless")

    assert asyncio.run(nameless.method_charge("tea")) == "nameless/tea"
    assert asyncio.run(Bank.method_charge(nameless, "tea")) == "nameless/tea"
    assert asyncio.run(Unused.method_holidays(2026)) == "Unused 2026"


@workflow
async def uses_a_nameless_bank(how: str) -> Any:
    nameless: Any = Bank("nameless")
    calls: dict[str, Any] = {
        "step": lambda: nameless.method_charge("tea"),
        "child": lambda: nameless.method_buy("tea"),
        "class": lambda: Bank.method_charge(nameless, "tea"),
        "subclass": lambda: Unused.method_holidays(2026),
        "super": lambda: super(Lender, lender).method_charge("tea"),
    }
    return await calls[how]()


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("step", "was called on an instance without a name, which no other process could find"),
        ("child", "workflow Bank.method_buy was called on an instance without a name"),
        ("class", "call it on an instance that configured\\(\\) has named"),
        ("subclass", 'needs a name of Unused: configured\\(Unused, name="..."\\)'),
        ("super", "is not one of 'method_lender', whose class has another of this name"),
    ],
)
async def test_an_instance_that_no_other_process_could_find(how: str, why: str) -> None:
    async with WorkflowEnvironment() as env:
        with pytest.raises(RunFailedError, match=why):
            await (await env.start(uses_a_nameless_bank, how)).result()


async def test_a_run_of_an_instance_without_a_name_is_not_started() -> None:
    async with WorkflowEnvironment() as env:
        with pytest.raises(ConfigurationError, match="without a name"):
            await env.start(Bank("nameless").method_buy, "tea")
        with pytest.raises(ConfigurationError, match="without a name"):
            await Orchestrator(env.world).create_schedule(
                "nightly", Bank("x").method_buy, {"order": "tea"}, schedule="rate(1 day)"
            )


def test_what_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="the name 'method_home' is taken: it was configured in line"):
        configured(Other(), name="method_home")
    with pytest.raises(ConfigurationError, match="has the name 'method_home' already, and cannot also be 'x'"):
        configured(home, name="x")
    with pytest.raises(ConfigurationError, match="it has no method that is a @workflow or a @step"):
        configured(object(), name="method_nothing")
    with pytest.raises(ConfigurationError, match=r"configured\(Bank, name='no name'\): 'no name' is not a valid name"):
        configured(Bank(""), name="no name")
    with pytest.raises(ConfigurationError, match="write it above @classmethod, not below"):

        class Wrong:
            @classmethod
            @step
            async def method_of_a_class(cls) -> None: ...

    with pytest.raises(ConfigurationError, match="already a step"):
        step(Other.__dict__["method_of_another"])


class Other:
    @step
    async def method_of_another(self) -> None: ...


class Sub(Bank):
    pass


class Unused(Bank):
    pass


configured(Sub, name="method_sub")


def test_a_subclass_may_be_configured_for_its_class_methods() -> None:
    assert Sub.method_holidays.name == "method_sub.method_holidays"
