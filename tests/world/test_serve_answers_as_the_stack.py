"""`python -m worldflow serve`: the stack's API over a LocalWorld. The same requests get the same answers from both."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.api import Answer, Api
from tests.support.asgi import AsgiApi
from tests.support.aws import deployed
from tests.support.lambdas import api_module
from tests.support.systems import System, aws_system, local_system
from worldflow import (
    FatalError,
    create_hook,
    create_webhook,
    on_update,
    open_stream,
    publish,
    set_attributes,
    set_status,
    step,
    wait_for_signal,
    workflow,
    workflow_info,
)
from worldflow.runtime.stream_urls import stream_url

pytest.importorskip("starlette")


@step(name="served_refuse")
async def refuse() -> None:
    raise FatalError("no shelf")


@step(name="served_tell")
async def tell(customer: str) -> None:
    async with open_stream("told", str) as out:
        for word in ("Dear", customer):
            await out.write(word)


@workflow(name="served_waits")
async def waits(customer: str = "Ada") -> Any:
    set_attributes(customer=customer, total=3)
    set_status("waiting")
    create_hook(token=f"of-{workflow_info().run_id}", metadata={"for": customer})
    publish("url", create_webhook().url)
    await tell(customer)

    @on_update("add")
    async def add(number: int) -> int:
        if number < 0:
            raise ValueError("below zero")
        return number + 1

    return await wait_for_signal("go", int)


@workflow(name="served_fails")
async def fails() -> None:
    await refuse()


Both = dict[str, tuple[Any, System]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    from worldflow.serving.http import application

    file: Path = tmp_path_factory.mktemp("served") / "runs.db"
    with deployed() as stack, aws_system(stack) as aws, local_system(file) as local, pytest.MonkeyPatch.context() as to:
        both: Both = {
            "stack": (Api(stack, aws.world), aws),
            "serve": (AsgiApi(application.create_application(local.world, None)), local),
        }
        # While the API waits for an answer, all else goes on: there, and nowhere else. A cold start of the function
        # imports its modules anew, so that they may be the server's, or others.
        waiting = SimpleNamespace(sleep=lambda _: [system.settle() for _, system in both.values()])
        of_the_server = application.Application.__init__.__globals__["update_routes"].__globals__
        to.setitem(of_the_server, "time", waiting)
        to.setattr(api_module("updates"), "time", waiting)
        yield both


def conversation(api: Any, system: System) -> Iterator[Answer]:
    run = {"workflow": "served_waits", "run_id": "r1", "input": {"customer": "Grace"}}
    # --- start ---
    yield api.post("/runs", run, key="k1")
    yield api.post("/runs", run, key="k1")
    yield api.post("/runs", {**run, "run_id": "r2"}, key="k1")
    yield api.post("/runs", run)
    yield api.post("/runs", {**run, "if_running": "fail"})
    yield api.post("/runs", {**run, "input": {"customer": 3, "other": 1}})
    yield api.post("/runs", {"workflow": "nowhere"})
    yield api.post("/runs", {**run, "run_id": "a b"})
    yield api.post("/runs", {**run, "run_id": "r3", "signal": {"name": "go", "value": 3}})
    yield api.post("/runs", "{")
    yield api.post("/runs", b"\xff")
    yield api.post("/runs", "[" * 5_000)
    yield api.post("/runs", {"workflow": "served_fails", "run_id": "r4"})
    system.settle()
    # --- look ---
    for run_id in ("r1", "r3", "r4", "none", "x" * 301):
        yield api.get(f"/runs/{run_id}")
    yield api.get("/runs/r1/events")
    yield api.get("/runs/r1/events", ("after", "1"), ("limit", "2"))
    yield api.get("/runs/r1/events", ("limit", "0"))
    yield api.get("/runs", ("limit", "2"))
    yield api.get("/runs", ("status", "running"), ("attribute.customer", "Grace"), ("attribute.total", "3"))
    yield api.get("/runs", ("status", "nonsense"))
    yield api.get("/runs", ("cursor", "nonsense"))
    # --- follow ---
    events = {"Accept": "text/event-stream"}
    yield api.get("/runs/r1/streams")
    yield api.get("/runs/none/streams")
    yield api.get("/runs/r1/streams/told")
    yield api.get("/runs/r1/streams/told", ("after", "1"), ("wait", "0.5"))
    yield api.get("/runs/r1/streams/told", ("wait", "3"))
    yield api.get("/runs/r1/streams/none")
    yield api.get("/runs/none/streams/told")
    for after in ("0", "1", "2", "x"):
        yield api("GET", "/runs/r1/streams/told", headers=events, query=[("after", after), ("wait", "0")])
    yield api("GET", "/runs/r1/streams/told", headers=events | {"Last-Event-ID": "2-end"})
    yield api("GET", "/runs/r1/streams/told", headers=events | {"Last-Event-ID": "one"})
    url = stream_url(system.world, "r1", "told")
    if isinstance(api, Api):
        yield api.signed_stream(url)
        yield api.signed_stream(f"{url}x")
        yield api.signed_stream(url, "OPTIONS")
        yield api.signed_stream(url, "POST")
    else:
        path = urlsplit(url).path
        yield api("GET", path, headers={"Origin": "https://shop.example"})
        yield api("GET", f"{path}x")
        yield api("OPTIONS", path, headers={"Origin": "https://shop.example"})
        yield api("POST", path)
    # --- tell ---
    yield api.post("/runs/r1/updates/add", {"args": [1]}, key="u1")
    yield api.post("/runs/r1/updates/add", {"args": [1]}, key="u1")
    yield api.post("/runs/r1/updates/add", {"args": [-1]})
    yield api.post("/runs/r1/updates/add", {"args": ["one"]})
    yield api.get("/runs/r1/queries/nothing")
    url = api.get("/runs/r1/queries/url").body["result"]
    webhook = f"/webhooks/{url.rpartition('/')[2]}"
    if isinstance(api, Api):
        yield api.webhook(url, "PUT", b"\x00\xff", cookies=["a=1"])
        yield api.webhook(f"{url}x")
    else:
        yield api("PUT", webhook, b"\x00\xff", headers={"Cookie": "a=1", "Origin": "https://bank.example"})
        yield api("POST", f"{webhook}x")
    yield api.get("/hooks/of-r1")
    yield api.get("/hooks/none")
    yield api.post("/hooks/of-r1", {"paid": True}, key="h1")
    yield api.post("/hooks/of-r1", {"paid": True}, key="h1")
    yield api.post("/runs/r1/signals/go", "4", key="s1")
    yield api.post("/runs/r1/signals/go", "4", key="s1")
    yield api.post("/runs/r1/signals/go", '"four"')
    yield api.post("/runs/none/signals/go", "4")
    system.settle()
    yield api.get("/runs/r1")
    yield api.post("/runs/r1/signals/go", "5")
    yield api.post("/runs/r1/cancel")
    # --- start again ---
    yield api.post("/runs/r4/retry", key="t1")
    yield api.post("/runs/r4/retry", key="t1")
    yield api.post("/runs/r1/retry")
    yield api.post("/runs/r1/fork", {"run_id": "r5", "after": 1})
    yield api.post("/runs/r1/fork", {"run_id": "r5", "after": 1})
    yield api.post("/runs/r5/resume")
    system.settle()
    yield api.post("/runs/r5/cancel", {"reason": "enough"})
    system.settle()
    yield api.get("/runs/r5")
    yield api.post("/runs/r5/terminate")
    # --- schedules ---
    daily = {"schedule_id": "daily", "workflow": "served_waits", "schedule": "cron(0 8 ? * MON-FRI *)"}
    yield api.post("/schedules", daily)
    yield api.post("/schedules", daily)
    yield api.post("/schedules", {**daily, "schedule": "never"})
    yield api("PATCH", "/schedules/daily", {"paused": True})
    yield api.get("/schedules/daily")
    yield api.get("/schedules")
    yield api("DELETE", "/schedules/daily")
    yield api.get("/schedules/daily")


def comparable(answer: Answer) -> tuple[int, str]:
    """An answer without what differs from one request to the next: moments, new ids, tokens and chance."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "MOMENT", answer.text)
    text = re.sub(r',"waited":[\d.]+', "", text)  # which an attempt has that the machine kept waiting
    text = re.sub(r'"(token|url|seed|cursor)":"?[^",}]*', r'"\1":"SOME', text)
    return answer.status, re.sub(r"\b[0-9a-f]{32}\b", "ID", text)


def test_the_same_requests_get_the_same_answers(both: Both) -> None:
    stack, serve = ([comparable(answer) for answer in conversation(*each)] for each in both.values())
    assert len(stack) == len(serve)
    for number, (expected, answered) in enumerate(zip(stack, serve, strict=True)):
        assert answered == expected, f"request {number}"
    assert {status for status, _ in serve} >= {200, 201, 202, 204, 400, 404, 409, 422}


def test_every_route_of_the_document_is_served(both: Both) -> None:
    api, _ = both["serve"]
    document = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text())
    routes = [(method, path) for path, operations in document["paths"].items() for method in operations]
    for method, path in routes:
        answer = api(method.upper(), re.sub(r"\{\w+\}", "none", path), "{}")
        assert b"PathNotFoundError" not in answer.data, (method, path)
    assert len(routes) > 20
    assert api.get("/nowhere").error["type"] == "PathNotFoundError"
