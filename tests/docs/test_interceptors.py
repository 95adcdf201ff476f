"""The code of docs/guide/interceptors.md, run."""

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from tests.docs.pages import while_time_passes
from worldflow import Interceptor, Proceed, StepCall, WorkflowCall, intercept, logger, step, workflow
from worldflow.testing import WorkflowEnvironment

tenant: ContextVar[str | None] = ContextVar("tenant", default=None)


class Tenant(Interceptor):
    async def run_step(self, call: StepCall, proceed: Proceed) -> Any:
        token = tenant.set(call.headers.get("tenant"))
        try:
            return await proceed()
        finally:
            tenant.reset(token)


class Deadline(Interceptor):
    async def run_workflow(self, call: WorkflowCall, proceed: Proceed) -> Any:
        try:
            async with asyncio.timeout(86_400):
                return await proceed()
        finally:
            logger.info("%s of %s ended", call.name, call.headers.get("tenant", "nobody"))


async def test_context_and_a_deadline(caplog: pytest.LogCaptureFixture) -> None:
    @step
    async def send(number: int) -> str:
        return f"invoice {number} of {tenant.get()}"

    @workflow
    async def send_invoice(number: int) -> str:
        if number < 0:
            await asyncio.sleep(2 * 86_400)
        return await send(number)

    intercept(Tenant())

    async with WorkflowEnvironment() as env:
        orchestrator = env.orchestrator
        with intercept(Deadline()), caplog.at_level("INFO"):
            await orchestrator.start_workflow("invoice-7", send_invoice, {"number": 7}, headers={"tenant": "acme"})
            assert await env.run("invoice-7").result() == "invoice 7 of acme"
            late = await env.start(send_invoice, -1)
            with pytest.raises(Exception, match="TimeoutError"):
                await while_time_passes(env, late.result())
    assert "send_invoice of acme ended" in caplog.text
    assert "send_invoice of nobody ended" in caplog.text


def test_in_tests() -> None:
    with intercept(Tenant()):
        ...
