"""A workflow or step that is defined in a function, as in a test, takes its name from a module's. What would then run
is not what was called, and the call says so.
"""

from collections.abc import Iterator

import pytest

from worldflow import ConfigurationError, RunFailedError, step, workflow
from worldflow.engine.workflow import definitions
from worldflow.testing import WorkflowEnvironment


@step
async def price_once() -> str:
    return "the module's"


@workflow
async def order_once() -> str:
    return await price_once()


@workflow
async def parent_once() -> str:
    return await order_once()


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    definitions._workflows._versions["order_once"][1] = order_once
    definitions._steps._versions["price_once"][1] = price_once


def take_the_workflow() -> None:
    @workflow
    async def order_once() -> str:
        return "the test's"


def take_the_step() -> None:
    @step
    async def price_once() -> str:
        return "the test's"


async def test_a_workflow_that_is_started():
    take_the_workflow()
    async with WorkflowEnvironment() as env:
        with pytest.raises(
            ConfigurationError, match=r"order_once would not run: its name 'order_once' is also that of"
        ):
            await env.start(order_once)


async def test_a_workflow_that_is_a_child():
    take_the_workflow()
    async with WorkflowEnvironment() as env:
        with pytest.raises(RunFailedError, match=r"take_the_workflow\.<locals>.order_once, which was defined later"):
            await (await env.start(parent_once)).result()


async def test_a_step():
    take_the_step()
    async with WorkflowEnvironment() as env:
        with pytest.raises(RunFailedError, match=r"Rename one of them: @step"):
            await (await env.start(order_once)).result()


async def test_a_step_with_options_is_still_itself():
    @workflow
    async def hurries() -> str:
        return await price_once.options(timeout="5s")()

    async with WorkflowEnvironment() as env:
        assert await (await env.start(hurries)).result() == "the module's"
