"""workflow_info() and step_info(), called in place and from helpers."""

from datetime import datetime

import pytest

from tests.support.scenarios import Env
from worldflow import OutsideError, StepInfo, WorkflowInfo, sleep, step, step_info, workflow, workflow_info


def described(info: WorkflowInfo) -> tuple[str, str, datetime]:
    return info.run_id, info.workflow_name, info.started_at


async def helper() -> StepInfo:
    return step_info()


async def test_a_workflow_knows_its_run(env: Env) -> None:
    @workflow
    async def introspective() -> list[tuple[str, str, datetime]]:
        before = described(workflow_info())
        await sleep("1h")
        return [before, described(workflow_info())]

    run = await env.start(introspective)
    before, after = await run.result()

    assert before == after
    assert before[:2] == (run.id, "introspective")
    assert before[2] == (await run.events())[0].at


async def test_a_step_knows_its_attempt(env: Env) -> None:
    @step
    async def introspective_step() -> tuple[str, str, int, str]:
        info = await helper()
        if info.attempt < 3:
            raise ConnectionError
        return info.run_id, info.step_id, info.attempt, info.idempotency_key

    @workflow
    async def asks_twice() -> list[tuple[str, str, int, str]]:
        return [await introspective_step(), await introspective_step()]

    run = await env.start(asks_twice)
    first, second = await run.result()

    assert first[:3] == (run.id, "s1", 3)
    assert second[:3] == (run.id, "s2", 3)
    assert first[3] != second[3]


async def test_each_knows_only_of_itself(env: Env) -> None:
    @step
    async def asks_for_the_workflow() -> None:
        workflow_info()

    @workflow
    async def asks_for_the_step() -> str:
        with pytest.raises(OutsideError):
            step_info()
        try:
            await asks_for_the_workflow()
        except OutsideError as error:
            return str(error)
        return "known"

    assert "workflow_info()" in await env.run(asks_for_the_step)
