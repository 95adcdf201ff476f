"""POST /runs/{run_id}/cancel and /terminate, with and without a reason."""

import asyncio

import pytest

from tests.support import workflows
from tests.support.api import Api
from tests.support.systems import AWSSystem, finish, start, story
from worldflow import step, workflow
from worldflow.engine.workflow import definitions


@pytest.fixture
def run_id(aws: AWSSystem) -> str:
    """A run that undoes something when it is cancelled."""

    @step
    async def undo() -> None: ...

    @workflow
    async def careful() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await undo()

    start(aws, "r", careful)
    return "r"


def steps(aws: AWSSystem, run_id: str) -> list[str]:
    return [payload["name"] for kind, payload in story(aws, run_id) if kind == "StepScheduled"]


@pytest.mark.parametrize(("action", "undone"), [("cancel", ["undo"]), ("terminate", [])])
@pytest.mark.parametrize(
    ("body", "reason"), [({"reason": "a mistake"}, "a mistake"), ({}, None), (None, None), ({"reason": None}, None)]
)
def test_a_run_is_ended_for_a_reason(
    api: Api, aws: AWSSystem, run_id: str, action: str, undone: list[str], body: object, reason: str | None
) -> None:
    answer = api.post(f"/runs/{run_id}/{action}", body)

    assert (answer.status, answer.body) == (202, {"run_id": run_id})
    record = finish(aws, run_id)
    assert (record.status, record.reason) == ("cancelled", reason)
    assert steps(aws, run_id) == undone
    assert api.get(f"/runs/{run_id}").body.get("reason") == reason


def test_a_blocked_run_can_be_terminated(api: Api, aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    start(aws, "r", workflows.collect, count=1)
    aws.restart()
    monkeypatch.delitem(definitions._workflows._versions, "collect")
    api.post("/runs/r/signals/value", 1)
    aws.settle()
    assert aws.world.read_run("r").status == "blocked"

    assert api.post("/runs/r/terminate").status == 202
    assert finish(aws, "r").status == "cancelled"


@pytest.mark.parametrize("body", [{"why": "x"}, {"reason": 3}, ["x"], "x"], ids=str)
@pytest.mark.parametrize("action", ["cancel", "terminate"])
def test_what_does_not_fit_is_refused(api: Api, aws: AWSSystem, run_id: str, action: str, body: object) -> None:
    answer = api.post(f"/runs/{run_id}/{action}", body if isinstance(body, dict | list) else f'"{body}"')

    assert answer.status == 422
    assert all(field.startswith("body") for field in answer.fields)
    assert api.stack.messages("runs") == []


@pytest.mark.parametrize("action", ["terminate", "resume"])
def test_nobody_and_who_has_ended_cannot_be_told(api: Api, aws: AWSSystem, action: str) -> None:
    start(aws, "over", workflows.chain, length=1)
    missing, ended = (api.post(f"/runs/{run_id}/{action}") for run_id in ("nobody", "over"))

    assert (missing.status, missing.error["type"], missing.fields) == (404, "RunNotFoundError", ["run_id"])
    assert (ended.status, ended.error["type"], ended.fields) == (409, "RunEndedError", ["run_id"])
    assert api.stack.messages("runs") == []
