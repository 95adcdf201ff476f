"""The console over each World, and what its pages ask of AWS."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.console.conftest import Pages
from tests.support.systems import AWSSystem, System, finish, signal, start
from worldflow import set_attributes, step, wait_for_signal, workflow
from worldflow.worlds.messages import Start


@step
async def console_shipped(order: str) -> str:
    return f"shipped {order}"


@workflow(signals={"paid": bool})
async def console_shop(order: str) -> str:
    set_attributes(order=order)
    if await wait_for_signal("paid"):
        return await console_shipped(order)
    return "refused"


def test_a_run_is_found_acted_on_and_watched(system: System) -> None:
    start(system, "order-1", console_shop, order="A")
    pages = Pages(system.world)
    assert 'href="/runs/order-1"' in pages.text("/", attributes="order=A", status="running")
    assert "Waiting for signal &#39;paid&#39;." in pages.text("/runs/order-1")
    pages.send("/runs/order-1/signal", {".name": "paid", "value": "true"}, page="/runs/order-1")
    assert finish(system, "order-1").result == "shipped A"
    page = pages.text("/runs/order-1")
    assert "Completed after" in page and "shipped A" in page
    assert "step console_shipped (s1) completed" in pages.text("/runs/order-1/history")
    for tab in ("code", "streams", "agents", "family", "cost"):
        pages.text(f"/runs/order-1/{tab}")
    for path in ("/counts", "/schedules", "/health"):
        pages.text(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", {"dynamodb.Query": 8}),
        ("/?status=running", {"dynamodb.Query": 8}),
        ("/runs/order-1", {"dynamodb.GetItem": 4, "dynamodb.Query": 2}),
        ("/runs/order-1/history", {"dynamodb.GetItem": 4, "dynamodb.Query": 2}),
    ],
)
def test_what_a_page_asks_of_aws(aws: AWSSystem, path: str, expected: dict[str, int]) -> None:
    start(aws, "order-1", console_shop, order="A")
    signal(aws, "order-1", "other")
    pages = Pages(aws.world)
    pages.text(path)
    aws.stack.requests.clear()
    pages.text(path)
    assert Counter(aws.stack.requests) == expected


def test_the_queues_of_a_stack(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.world.send([Start(run_id="order-1")])
    page = Pages(aws.world).text("/health")
    assert '<td>runs</td><td class="number">1</td><td class="number">0</td>' in page
    monkeypatch.setattr(aws.world.access.session, "client", lambda _: SimpleNamespace(get_metric_data=ages))
    assert '<td class="number">0</td><td class="number">42 s</td>' in Pages(aws.world).text("/health")


def ages(MetricDataQueries: list[dict[str, Any]], **_: object) -> dict[str, Any]:
    """CloudWatch, which moto has no figures of queues for."""
    asked = {query["Id"]: query["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for query in MetricDataQueries}
    assert asked["runs"].endswith("runs.fifo")
    return {"MetricDataResults": [{"Id": "runs", "Values": [42.0, 41.0]}, {"Id": "steps", "Values": []}]}


def test_what_the_operator_may_not_ask_is_left_out(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetQueueAttributes")

    monkeypatch.setattr(aws.world.access.sqs, "get_queue_attributes", denied)
    assert "These credentials may not read the queues" in Pages(aws.world).text("/health")
