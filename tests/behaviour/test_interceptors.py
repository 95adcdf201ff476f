"""Code around steps and workflows, and what a run carries for it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import pytest

from tests.support.scenarios import Env
from worldflow import (
    Entity,
    FatalError,
    Interceptor,
    Proceed,
    RetryPolicy,
    StepCall,
    WorkflowCall,
    continue_as_new,
    entity,
    intercept,
    sleep,
    step,
    step_info,
    wait_for_signal,
    workflow,
    workflow_info,
)

tenant: ContextVar[str | None] = ContextVar("tenant", default=None)


class Tenant(Interceptor):
    """Has a context variable in steps and workflows, and notes whom it was called for."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, dict[str, Any]]] = []
        self.workflows: list[str] = []

    async def run_step(self, call: StepCall, proceed: Proceed) -> Any:
        self.steps.append((call.name, call.attempt, dict(call.arguments)))
        return await self._within(call.headers.get("tenant"), proceed)

    async def run_workflow(self, call: WorkflowCall, proceed: Proceed) -> Any:
        self.workflows.append(call.run_id)
        return await self._within(call.headers.get("tenant"), proceed)

    async def _within(self, name: str | None, proceed: Proceed) -> Any:
        token = tenant.set(name)
        try:
            return await proceed()
        finally:
            tenant.reset(token)


@step
def plain(number: int) -> str:
    return f"{number} of {tenant.get()}"


@step(retry=RetryPolicy(initial_interval="1s", jitter=0))
async def queued(number: int) -> str:
    if step_info().attempt == 1:
        raise ValueError("once more")
    return f"{number} of {step_info().headers['tenant']} and {tenant.get()}"


@step(inline=True)
async def inline() -> str | None:
    return tenant.get()


@step(stream="words")
async def words() -> Any:
    yield tenant.get()


@workflow
async def of_a_tenant_child() -> str | None:
    return await inline()


@workflow
async def of_a_tenant(again: bool = True) -> list[Any]:
    if again:
        continue_as_new(again=False)
    found = [tenant.get(), workflow_info().headers, await plain(1), await queued(2), await inline(), await words()]
    await wait_for_signal("on")
    return [*found, await of_a_tenant_child(), tenant.get()]


async def test_headers_are_there_in_all_that_a_run_calls(env: Env) -> None:
    around = Tenant()
    with intercept(around):
        headers = {"tenant": "acme"}
        await env.drive(env.orchestrator.start_workflow("r", of_a_tenant, headers=headers))
        await env.advance("1m")
        await env.restart()
        await env.handle("r").signal("on")
        result = await env.handle("r").result()

    assert result == ["acme", headers, "1 of acme", "2 of acme and acme", "acme", ["acme"], "acme", "acme"]
    assert around.steps == [
        ("plain", 1, {"number": 1}),
        ("queued", 1, {"number": 2}),
        ("queued", 2, {"number": 2}),
        ("inline", 1, {}),
        ("words", 1, {}),
        ("inline", 1, {}),
    ]
    assert {"r", "r~2", "r~2~c1"} == set(around.workflows)
    assert (await env.handle("r~2~c1").record()).headers == headers


async def test_they_lie_one_within_the_other_until_they_are_undone(env: Env) -> None:
    order: list[str] = []

    class Named(Interceptor):
        def __init__(self, name: str) -> None:
            self.name = name

        async def run_step(self, call: StepCall, proceed: Proceed) -> Any:
            order.append(self.name)
            return f"{self.name}({await proceed()})"

    with intercept(Named("a"), Named("b")):
        assert await env.run(of_a_tenant_child) == "a(b(None))"
    assert await env.run(of_a_tenant_child) is None
    assert order == ["a", "b"]


class Fails(Interceptor):
    async def run_step(self, call: StepCall, proceed: Proceed) -> Any:
        raise FatalError(f"{call.name} is refused")


class FailsRuns(Interceptor):
    async def run_workflow(self, call: WorkflowCall, proceed: Proceed) -> Any:
        raise ValueError(f"{call.name} is refused")


@pytest.mark.parametrize("around", [Fails(), FailsRuns()])
async def test_what_it_raises_is_the_error_of_what_it_is_around(env: Env, around: Interceptor) -> None:
    with intercept(around):
        run = await env.start(of_a_tenant_child)
        error = await run.failure()
    assert str(error) in ("inline is refused", "of_a_tenant_child is refused")
    assert await run.kinds() == (
        ["RunStarted", "StepScheduled", "StepFailed", "RunFailed"]
        if isinstance(around, Fails)
        else ["RunStarted", "RunFailed"]
    )


class Logs(Interceptor):
    async def run_workflow(self, call: WorkflowCall, proceed: Proceed) -> Any:
        await sleep("1s")
        return await proceed()


async def test_a_run_that_began_without_it_is_blocked_if_it_calls_something(env: Env) -> None:
    asked = env.orchestrator.start_workflow("r", of_a_tenant, {"again": False}, headers={"tenant": "acme"})
    await env.drive(asked)
    run = env.handle("r")
    await env.advance("1m")
    await env.restart()
    with intercept(Logs()):
        await run.signal("on")
        record = await run.record()
    assert record.status == "blocked"
    assert "the workflow's code now asks for TimerStarted" in (record.blocked_reason or "")


@entity
class Drawer(Entity):
    total: int = 0

    async def add(self, amount: int) -> str | None:
        self.total += amount
        await inline()
        return tenant.get()


async def test_an_entity_is_one_workflow(env: Env) -> None:
    @workflow
    async def sells() -> str | None:
        return await Drawer("1").add(3)

    around = Tenant()
    with intercept(around):
        await env.drive(env.orchestrator.start_workflow("r", sells, headers={"tenant": "acme"}))
        assert await env.handle("r").result() is None
    assert [name for name, _, _ in around.steps] == ["inline"]
    assert {run.partition("@")[0] for run in around.workflows} == {"r", "Drawer"}
