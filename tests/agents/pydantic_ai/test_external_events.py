"""`RequestInput` and its like, which Pydantic AI has from 2.68 on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

pytest.importorskip("pydantic_ai.external_events")

from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults, ToolDenied
from pydantic_ai.capabilities import RequestInput
from pydantic_ai.external_events import ExternalEventError, wait_for_external_event

from tests.agents.pydantic_ai.scripts import Script, returned
from tests.agents.pydantic_ai.worlds import Runs, names
from worldflow import in_workflow, workflow
from worldflow.ai.pydantic import Durable

tokens: list[str] = []


def deliver(ctx: Any, requests: DeferredToolRequests, token: str) -> DeferredToolResults | None:
    assert not in_workflow()
    tokens.append(token)
    return None


deleter = Agent(
    Script([("delete", {"what": "it"})], lambda messages: returned(messages)[-1]),
    name="deleter",
    capabilities=[Durable(), RequestInput(ask=deliver, timeout=timedelta(days=3))],
)


@deleter.tool_plain(requires_approval=True)
async def delete(what: str) -> str:
    return f"deleted {what}"


@workflow
async def delete_it() -> str:
    return str((await deleter.run("Delete it")).output)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    tokens.clear()


async def test_the_answer_is_sent_to_a_hook(runs: Runs) -> None:
    run_id = await runs.start(delete_it)
    (token,) = tokens
    (call,) = [event.payload for event in runs.world.read_events(run_id) if event.event_type == "StepCompleted"][:1]
    tool_call_id = call["result"]["parts"][0]["tool_call_id"]
    await runs.resume(token, {"approvals": {tool_call_id: {"kind": "tool-approved"}}})

    assert await runs.result(run_id) == "deleted it"
    assert names(runs, run_id) == ["deleter.model", "deleter.ask", "deleter.tool.delete", "deleter.model"]
    assert len(tokens) == 1


async def test_without_an_answer_the_call_is_denied(runs: Runs) -> None:
    run_id = await runs.start(delete_it)
    await runs.advance("4d")

    assert "nothing has resumed the hook within 3d" in await runs.result(run_id)


def decide(ctx: Any, requests: DeferredToolRequests, token: str) -> DeferredToolResults:
    return requests.build_results(
        approvals={call.tool_call_id: ToolDenied("By policy.") for call in requests.approvals}
    )


policed = Agent(
    Script([("explode", {})], lambda messages: returned(messages)[-1]),
    name="policed",
    capabilities=[Durable(), RequestInput(ask=decide)],
)


@policed.tool_plain(requires_approval=True)
async def explode() -> None: ...


@workflow
async def explode_perhaps() -> str:
    return str((await policed.run("Explode")).output)


async def test_what_asks_may_answer_itself(runs: Runs) -> None:
    assert await runs.result(await runs.start(explode_perhaps)) == "By policy."


wondering = Agent(
    Script([("wonder", {})], lambda messages: returned(messages)[-1]), name="wondering", capabilities=[Durable()]
)
told: list[str] = []


@wondering.tool_plain(metadata={"worldflow": False})
async def wonder() -> str:
    try:
        return str(await wait_for_external_event("wonder", ask=told.append, timeout=timedelta(hours=1)))
    except ExternalEventError as error:
        return str(error)


@workflow
async def wonder_whether() -> str:
    return str((await wondering.run("Wonder")).output)


async def test_a_tool_in_the_workflow_waits_for_an_event(runs: Runs) -> None:
    told.clear()
    run_id = await runs.start(wonder_whether)
    await runs.resume(told[0], {"any": "value"})

    assert await runs.result(run_id) == "{'any': 'value'}"
