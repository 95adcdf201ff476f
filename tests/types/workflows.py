"""What a workflow calls: children, signals, hooks, updates."""

import random as _random
import uuid
from datetime import datetime
from typing import Any, NoReturn, assert_never, assert_type

from pydantic import BaseModel

from worldflow import (
    Hook,
    Webhook,
    WebhookRequest,
    WorkflowInfo,
    continue_as_new,
    create_hook,
    create_webhook,
    in_workflow,
    now,
    on_update,
    patched,
    publish,
    random,
    set_attributes,
    set_status,
    sleep,
    uuid4,
    wait_for_signal,
    workflow,
    workflow_info,
)


class Approval(BaseModel):
    by: str


class Refusal(BaseModel):
    reason: str


@workflow(name="types_child", version=2, timeout="3d", inline_steps=True)
async def child(count: int, name: str = "") -> list[str]:
    return [name] * count


@workflow(name="types_children")
async def children() -> None:
    assert_type(await child(3), list[str])
    assert_type(await child.options(run_id="c", parent_close="abandon")(3, name="a"), list[str])
    assert_type(child.start_detached(3), str)
    await child("3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    child.start_detached(3, 4)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    child.options(parent_close="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@workflow(name="types_signals", signals={"approval": Approval})
async def signals() -> str:
    assert_type(await wait_for_signal("anything"), Any)
    assert_type(await wait_for_signal("approval", Approval), Approval)
    assert_type(await wait_for_signal("names", list[str]), list[str])
    assert_type(await wait_for_signal("name", str | None), str | None)
    async for each in wait_for_signal("items", dict[str, int]):
        assert_type(each, dict[str, int])
        break
    answer = await wait_for_signal("answer", Approval | Refusal, on_misfit="raise")
    assert_type(answer, Approval | Refusal)
    match answer:
        case Approval():
            return answer.by
        case Refusal():
            return answer.reason
        case _:
            assert_never(answer)


@workflow(name="types_hooks")
async def hooks() -> None:
    with create_hook(Approval | Refusal, token="t", metadata={"order": 1}) as hook:
        assert_type(hook, Hook[Approval | Refusal])
        assert_type(hook.token, str)
        assert_type(await hook, Approval | Refusal)
    assert_type(create_hook(), Hook[Any])
    with create_webhook(respond="workflow", expires_in="2d") as webhook:
        assert_type(webhook, Webhook)
        assert_type(webhook.url, str)
        assert_type(await webhook, WebhookRequest)
        async for request in webhook:
            assert_type(request, WebhookRequest)
            request.respond(200, {"text": request.text(), "query": list(request.query)})


@workflow(name="types_others")
async def others() -> None:
    @on_update("add")
    async def add(count: int) -> int:
        return count

    assert_type(await add(1), int)  # a handler stays the function that it is
    assert_type(now(), datetime)
    assert_type(uuid4(), uuid.UUID)
    assert_type(random(), _random.Random)
    assert_type(workflow_info(), WorkflowInfo)
    assert_type(in_workflow(), bool)
    assert_type(patched("change"), bool)
    set_attributes(customer="Ada", total=3, paid=True, gone=None)
    set_attributes(customer=["Ada"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    set_status("packing")
    publish("progress", lambda: {"done": 1})
    await sleep("2h")
    await sleep(now())


@workflow(name="types_continues")
async def continues(seen: int) -> str:
    if seen < 10:
        return "done"
    continue_as_new(**continues.input(seen - 10))  # nothing to return: it does not come back


def leaves() -> NoReturn:
    continue_as_new(1)
