"""A test reaches webhooks, published values, updates and records through its `WorkflowEnvironment` alone."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from worldflow import (
    SerializationError,
    create_hook,
    create_webhook,
    on_update,
    publish,
    set_attributes,
    set_status,
    sleep,
    wait_for_signal,
    workflow,
)
from worldflow.testing import WorkflowEnvironment


@workflow(name="offered_webhook")
async def pays() -> str:
    with create_webhook(metadata={"order": 1}) as webhook, create_hook(str, token="chat") as chat:
        request = await webhook
        said = f"{request.method} {request.query['id']} {request.headers['x-bank']} {request.json()}"
        await chat
    return said


async def test_a_request_to_a_webhook() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(pays)
        webhook, chat = await run.hooks()
        assert (webhook.metadata, chat.token, chat.url) == ({"order": 1}, "chat", None)

        url = f"{webhook.url}?id=7"
        answer = await env.request(url, method="PUT", body={"paid": True}, headers={"X-Bank": "b"})
        assert (answer.status, answer.body) == (202, b"{}")

        await env.resume_hook(chat.token, "bye")
        assert await run.result() == "PUT 7 b {'paid': True}"
        assert await run.hooks() == []
        assert (await env.request(url)).status == 410
        assert (await env.request(f"{webhook.url}x")).status == 404


@workflow(name="offered_answer")
async def answers(patience: int) -> None:
    with create_webhook(respond="workflow") as webhook:
        async for request in webhook:
            await sleep(patience)
            request.respond(200, {"said": request.text()})


@pytest.mark.parametrize("patience", [0, 15])
async def test_a_workflow_answers_a_request(patience: int) -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(answers, patience)
        (webhook,) = await run.hooks()
        assert webhook.url
        for text in ("one", "two"):
            answer = await env.request(webhook.url, body=text)
            assert (answer.status, json.loads(answer.body)) == (200, {"said": text})


async def test_a_workflow_that_answers_too_late() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(answers, 60)
        (webhook,) = await run.hooks()
        before = env.now()
        assert (await env.request(webhook.url or "")).status == 202
        assert 20 <= (env.now() - before).total_seconds() < 22


@workflow(name="offered_totals")
async def totals(price: Decimal) -> Decimal:
    total = price
    publish("total", lambda: total)

    @on_update("add")
    def add(more: Decimal) -> Decimal:
        nonlocal total
        total += more
        return total

    set_attributes(customer="Ada")
    set_status("waiting for the end")
    await wait_for_signal("end")
    return total


async def test_values_come_back_as_the_type_that_is_asked_for() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(totals, Decimal("1.50"))
        assert await run.query("total") == "1.50"
        assert await run.query("total", Decimal) == Decimal("1.50")
        assert await run.update("add", Decimal(1)) == "2.50"
        assert await run.update("add", Decimal(1), type=Decimal) == Decimal("3.50")
        with pytest.raises(SerializationError, match="total: the published value does not match its type"):
            await run.query("total", list[int])


async def test_the_record_of_a_run() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(totals, Decimal(1))
        record = await run.record()
        assert (record.status, record.status_text) == ("running", "waiting for the end")
        assert record.attributes == {"customer": "Ada"}
        (listed,) = (await env.orchestrator.list_runs(attributes={"customer": "Ada"})).runs
        assert listed.run_id == run.id


def test_an_input_is_that_of_the_call() -> None:
    assert totals.input(Decimal(1)) == totals.input(price=Decimal(1)) == {"price": Decimal(1)}
    with pytest.raises(TypeError, match="missing a required argument: 'price'"):
        totals.input()  # type: ignore[call-arg]
