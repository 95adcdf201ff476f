"""An id that is in use, or has been: whose run it is then, by the policy that the caller names."""

from typing import Any

import pytest

from tests.support.scenarios import Env
from worldflow import RunExistsError, wait_for_signal, workflow
from worldflow.engine.workflow.definitions import Workflow


def flow() -> Workflow[..., Any]:
    @workflow
    async def answering(text: str) -> str:
        if text == "wait":
            return await wait_for_signal("answer", str)
        if text == "fail":
            raise LookupError(text)
        return text

    return answering


async def test_while_it_runs_the_existing_one_is_returned(env: Env) -> None:
    answering = flow()
    run = await env.start_as("r", answering, "wait")
    again = await env.drive(env.orchestrator.start_workflow("r", answering, {"text": "other"}))
    await run.signal("answer", "the first")

    assert again.id == "r"
    assert await run.result() == "the first"


async def test_while_it_runs_it_is_an_error(env: Env) -> None:
    answering = flow()
    await env.start_as("r", answering, "wait")

    with pytest.raises(RunExistsError):
        await env.drive(env.orchestrator.start_workflow("r", answering, {"text": "other"}, if_running="fail"))
    assert await env.handle("r").status() == "running"


async def test_while_it_runs_it_makes_way(env: Env) -> None:
    answering = flow()
    await env.start_as("r", answering, "wait")
    again = await env.drive(
        env.orchestrator.start_workflow("r", answering, {"text": "other"}, if_running="terminate_existing")
    )

    assert await env.handle(again.id).result() == "other"
    events = await env.handle("r").kinds()
    assert events[-1] in ("RunCancelled", "RunTerminated")


async def test_a_finished_one_is_returned(env: Env) -> None:
    answering = flow()
    await env.start_as("r", answering, "first")
    again = await env.drive(env.orchestrator.start_workflow("r", answering, {"text": "second"}))

    assert await env.handle(again.id).result() == "first"


async def test_a_finished_one_is_followed_by_another(env: Env) -> None:
    answering = flow()
    await env.start_as("r", answering, "first")
    again = await env.drive(env.orchestrator.start_workflow("r", answering, {"text": "second"}, reuse="allow"))

    assert await env.handle(again.id).result() == "second"
    assert await env.handle("r~2").result() == "second"


@pytest.mark.parametrize("reuse", ["failed_only", "reject"])
async def test_a_finished_one_is_not_repeated(env: Env, reuse: Any) -> None:
    answering = flow()
    await env.start_as("r", answering, "first")

    with pytest.raises(RunExistsError):
        await env.drive(env.orchestrator.start_workflow("r", answering, {"text": "second"}, reuse=reuse))


async def test_a_failed_one_is_repeated(env: Env) -> None:
    answering = flow()
    failed = await env.start_as("r", answering, "fail")
    assert await failed.status() == "failed"
    again = await env.drive(env.orchestrator.start_workflow("r", answering, {"text": "second"}, reuse="failed_only"))

    assert await env.handle(again.id).result() == "second"


async def test_the_same_id_of_another_workflow(env: Env) -> None:
    @workflow
    async def other() -> None:
        pass

    await env.start_as("r", flow(), "wait")

    with pytest.raises(RunExistsError):
        await env.drive(env.orchestrator.start_workflow("r", other))
