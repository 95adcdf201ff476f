"""Who sends a signal of another type than the workflow declares gets an error, and the run gets no signal."""

import pytest
from pydantic import BaseModel

from worldflow import InvalidInputError, wait_for_signal, workflow
from worldflow.engine.errors import FieldError
from worldflow.engine.history import SignalReceived
from worldflow.runtime.orchestrator import Orchestrator
from worldflow.testing import WorkflowEnvironment
from worldflow.worlds import reading


class Verdict(BaseModel):
    by: str
    approved: bool


@workflow(signals={"verdict": Verdict, "hurry": None})
async def awaits_a_verdict() -> str:
    return (await wait_for_signal("verdict", Verdict)).by


@pytest.mark.parametrize("value", ["yes", {"by": "Grace"}, {"by": 5, "approved": True}, None])
async def test_a_signal(value):
    async with WorkflowEnvironment() as env:
        run = await env.start(awaits_a_verdict)
        with pytest.raises(InvalidInputError, match="does not fit the signal 'verdict' of awaits_a_verdict"):
            await run.signal("verdict", value)
        assert not any(isinstance(event, SignalReceived) for event in await run.events())
        await run.signal("verdict", Verdict(by="Grace", approved=True))
        assert await run.result() == "Grace"


async def test_the_error_has_the_field():
    async with WorkflowEnvironment() as env:
        run = await env.start(awaits_a_verdict)
        with pytest.raises(InvalidInputError) as caught:
            await run.signal("verdict", {"by": "Grace"})
        assert caught.value.fields == (FieldError("value.approved", "Field required"),)


async def test_a_signal_that_would_start_a_run_starts_none():
    async with WorkflowEnvironment() as env:
        orchestrator = Orchestrator(env.world)
        with pytest.raises(InvalidInputError, match="does not fit the signal"):
            await orchestrator.signal_with_start("v-1", awaits_a_verdict, {}, signal="verdict", value="yes")
        assert reading.find_run(env.world, "v-1") is None


async def test_a_name_that_is_not_declared_takes_anything_and_is_logged(caplog: pytest.LogCaptureFixture):
    async with WorkflowEnvironment() as env:
        run = await env.start(awaits_a_verdict)
        await run.signal("vredict", "anything")
        expected = "awaits_a_verdict does not declare the signal 'vredict', only hurry, verdict; it is kept for a wait"
        assert [expected in message for message in caplog.messages] == [True]
        with pytest.raises(InvalidInputError):
            await run.signal("hurry", "up")
