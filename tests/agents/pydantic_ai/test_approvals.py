"""Tools that wait for a person."""

from __future__ import annotations

import pytest
from pydantic_ai import Agent, CallDeferred, DeferredToolRequests
from pydantic_ai.capabilities import HandleDeferredToolCalls

from tests.agents.pydantic_ai.scripts import Script, returned
from tests.agents.pydantic_ai.worlds import InEnvironment, Runs, names
from worldflow import step, workflow
from worldflow.ai.pydantic import Durable, ToolRequest, run_with_approvals, wait_for_answers

asked: list[ToolRequest] = []
refunds: list[int] = []
clerk_script = Script(
    [("refund", {"amount": 5}), ("refund", {"amount": 7}), ("look", {"at": "it"})],
    lambda messages: "; ".join(map(str, returned(messages))),
)
clerk = Agent(clerk_script, name="clerk", deps_type=str, capabilities=[Durable()])


@clerk.tool_plain(requires_approval=True)
async def refund(amount: int) -> str:
    refunds.append(amount)
    return f"refunded {amount}"


@clerk.tool_plain
async def look(at: str) -> str:
    return f"looked at {at}"


@step
async def tell_a_person(request: ToolRequest) -> None:
    asked.append(request)


@workflow
async def refund_with_approval(webhooks: bool) -> str:
    result = await run_with_approvals(
        clerk, "Refund 5 and 7", ask=tell_a_person, timeout="3d", webhooks=webhooks, deps="Ada"
    )
    return str(result.output)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    asked.clear()
    refunds.clear()
    clerk_script.asked.clear()


async def test_each_tool_call_waits_for_its_own_approval(runs: Runs) -> None:
    run_id = await runs.start(refund_with_approval, False)

    assert [(request.kind, request.tool_name, request.args, request.url) for request in asked] == [
        ("approval", "refund", {"amount": 5}, None),
        ("approval", "refund", {"amount": 7}, None),
    ]
    await runs.resume(asked[1].token, True)
    await runs.resume(asked[0].token, {"approved": False, "message": "Not that one."})
    assert await runs.result(run_id) == "Not that one.; refunded 7; looked at it"
    assert refunds == [7]
    assert names(runs, run_id).count("clerk.model") == 2
    assert len(clerk_script.asked) == 2


async def test_arguments_may_be_changed_by_who_approves(runs: Runs) -> None:
    run_id = await runs.start(refund_with_approval, False)
    for request in asked:
        await runs.resume(request.token, {"approved": True, "args": {"amount": 1}})

    assert await runs.result(run_id) == "refunded 1; refunded 1; looked at it"


async def test_after_a_while_nobody_is_waited_for(runs: Runs) -> None:
    run_id = await runs.start(refund_with_approval, False)
    await runs.advance("2d")
    await runs.resume(asked[0].token, True)
    await runs.advance("2d")

    assert await runs.result(run_id) == "refunded 5; Nobody has answered within 3d.; looked at it"


async def test_what_is_no_answer_is_left_out(runs: Runs) -> None:
    run_id = await runs.start(refund_with_approval, False)
    for value in ("perhaps", {"approve": True}, None, 1):
        await runs.resume(asked[0].token, value)
    assert refunds == []
    for request in asked:
        await runs.resume(request.token, True)

    assert await runs.result(run_id) == "refunded 5; refunded 7; looked at it"


async def test_a_signed_url_takes_the_answer() -> None:
    runs = InEnvironment()
    async with runs.env:
        run_id = await runs.start(refund_with_approval, True)
        first, second = (str(request.url) for request in asked)
        refused = await runs.env.request(first, body={"approved": "perhaps"})
        assert (refused.status, "approved" in refused.body.decode()) == (422, True)
        assert (await runs.env.request(first, body="not json")).status == 422
        assert (await runs.env.request(first, body={"approved": False})).status == 200
        assert (await runs.env.request(second, body=True)).status == 200
        assert await runs.result(run_id) == "The tool call was denied.; refunded 7; looked at it"


broker = Agent(
    Script([("quote", {"of": "tea"})], lambda messages: f"tea is {returned(messages)[-1]}"),
    name="broker",
    capabilities=[Durable()],
)


@broker.tool_plain
async def quote(of: str) -> str:
    raise CallDeferred(metadata={"source": "telephone"})


@workflow
async def ask_for_a_quote() -> str:
    return str((await run_with_approvals(broker, "A quote for tea", ask=tell_a_person)).output)


async def test_a_result_may_come_from_outside(runs: Runs) -> None:
    run_id = await runs.start(ask_for_a_quote)

    assert [(request.kind, request.metadata) for request in asked] == [("call", {"source": "telephone"})]
    await runs.resume(asked[0].token, "3 pounds")
    assert await runs.result(run_id) == "tea is 3 pounds"


patient = Agent(
    Script([("wipe", {})], lambda messages: returned(messages)[-1]),
    name="patient",
    output_type=[str, DeferredToolRequests],
    capabilities=[
        Durable(),
        HandleDeferredToolCalls(handler=lambda ctx, requests: wait_for_answers(requests, ask=tell_a_person)),
    ],
)


@patient.tool_plain(requires_approval=True)
async def wipe() -> str:
    return "wiped"


@workflow
async def wipe_with_patience() -> str:
    return str((await patient.run("Wipe")).output)


async def test_a_run_of_the_agent_may_wait_itself(runs: Runs) -> None:
    run_id = await runs.start(wipe_with_patience)
    await runs.resume(asked[0].token, True)

    assert await runs.result(run_id) == "wiped"
    assert len(asked) == 1
