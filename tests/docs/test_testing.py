"""The code of docs/guide/testing.md, run."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from workflows.order import Approval, Line, Order, fulfil_order
from worldflow import create_webhook, step, workflow
from worldflow.evaluating import replay_with
from worldflow.testing import WorkflowEnvironment


async def test_a_large_order_waits_for_approval() -> None:
    order = Order(order_id="1", customer="Ada", card="4242", lines=[Line(sku="A", quantity=2, unit_price=Decimal(900))])
    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, order)
        await env.advance("2d")
        await run.signal("approval", Approval(approved=True, by="Grace"))
        assert (await run.result()).tracking == "PARCEL-1"


@workflow
async def await_payment(order_id: str) -> str:
    with create_webhook(respond="workflow") as webhook:
        request = await webhook
        request.respond(200, {"confirmed": order_id})
    return request.query["payment"]


async def test_the_bank_confirms_a_payment() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(await_payment, "order-1")
        (webhook,) = await run.hooks()
        response = await env.request(f"{webhook.url}?payment=7", body={"paid": True})
        assert response.body == b'{"confirmed": "order-1"}'
        assert await run.result() == "7"


@step
async def look_up(question: str) -> list[str]:
    return ["parcel 7 is in Graz", "it left Vienna"]


@step
async def answer(question: str, facts: list[str]) -> str:
    return " and ".join(facts)


@workflow
async def support(question: str) -> str:
    return await answer(question, await look_up(question))


@pytest.fixture
async def in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the history of a run, as the command line prints it."""
    async with WorkflowEnvironment() as env:
        run = await env.start(support, "Where is parcel 7?")
        await run.result()
        events = await run.events()
    fields = (
        {"seq": one.seq, "at": str(one.at), "event_type": one.event_type, "payload": one.payload} for one in events
    )
    monkeypatch.chdir(tmp_path)
    Path("tests/histories").mkdir(parents=True)
    Path("tests/histories/support.jsonl").write_text("\n".join(map(json.dumps, fields)))


@pytest.mark.usefixtures("in_a_project")
async def test_a_stricter_prompt() -> None:
    history = Path("tests/histories/support.jsonl").read_text()

    def stricter(question: str, facts: list[str]) -> str:
        return f"In short: {facts[0]}"

    run = await replay_with(history, steps={"answer": stricter})
    assert run.result == "In short: parcel 7 is in Graz"
    assert [(call.name, call.source) for call in run.calls] == [("look_up", "recorded"), ("answer", "replaced")]


async def test_another_model(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pydantic_ai")
    from pydantic_ai import Agent
    from pydantic_ai.models.test import TestModel

    from worldflow.ai.pydantic import Durable, evaluating

    def look_up(city: str) -> str:
        return f"the weather of {city}"

    agent = Agent(TestModel(), name="evaluated_in_the_guide", tools=[look_up], capabilities=[Durable()])

    @workflow
    async def agent_of_the_guide(prompt: str) -> str:
        return (await agent.run(prompt)).output

    async with WorkflowEnvironment() as env:
        recorded = await env.start(agent_of_the_guide, "Where is it sunny?")
        await recorded.result()
        history = await recorded.events()
    candidate = TestModel(custom_output_text="nowhere")
    monkeypatch.setattr(evaluating, "infer_model", {"anthropic:claude-sonnet-4-5": candidate}.get)

    run = await replay_with(history, agent=agent, model="anthropic:claude-sonnet-4-5")

    assert run.result == "nowhere"
    assert [call.source for call in run.calls] == ["live", "recorded", "live"]
