"""The console over each World, and what its pages ask of AWS."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.console.conftest import Pages
from tests.support.systems import AWSSystem, System, finish, signal, start
from worldflow import set_attributes, step, wait_for_signal, workflow
from worldflow.worlds.aws.health import health_of
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
    monkeypatch.setattr(aws.world.access.session, "client", lambda _: SimpleNamespace(get_metric_data=metrics))
    assert '<td class="number">0</td><td class="number">42 s</td>' in Pages(aws.world).text("/health")


STACK = "worldflow-runs"
"""The name of the stack, as that of its table would have it."""


def metrics(MetricDataQueries: list[dict[str, Any]], EndTime: datetime, **_: object) -> dict[str, Any]:
    """CloudWatch, which moto has no figures of queues and functions for: the caretaker of this stack was last called
    without an error at 9:17, and that of another since then.
    """
    asked = {query["Id"]: query for query in MetricDataQueries}
    if "runs" in asked:
        queue = asked["runs"]["MetricStat"]["Metric"]["Dimensions"][0]["Value"]
        assert queue.endswith("runs.fifo")
        return {"MetricDataResults": [{"Id": "runs", "Values": [42.0, 41.0]}, {"Id": "steps", "Values": []}]}
    hours = [EndTime.replace(hour=hour, minute=17, second=0, microsecond=0) for hour in (11, 10, 9, 8)]
    names = {"Label": f"{STACK}-CaretakerFunction-1"}, {"Label": "other-CaretakerFunction-1"}
    calls = [
        {"Id": "invocations", "Timestamps": hours, "Values": [1.0] * 4},
        {"Id": "errors", "Timestamps": hours, "Values": [1.0, 1.0, 0.0, 0.0]},
    ]
    quiet = [{"Id": "invocations", "Timestamps": [hours[0] + timedelta(minutes=1)], "Values": [1.0]}]
    assert asked.keys() == {"invocations", "errors"}
    return {"MetricDataResults": [*(call | names[0] for call in calls), *(call | names[1] for call in quiet)]}


def test_the_last_sweep_of_a_stack_is_the_last_call_of_its_caretaker_without_an_error(
    aws: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "<dt>Last sweep</dt><dd>not known" in Pages(aws.world).text("/health")
    monkeypatch.setattr(aws.world.access.session, "client", lambda _: SimpleNamespace(get_metric_data=metrics))
    found = health_of(aws.world)
    assert found.swept_at is not None
    assert (found.swept_at.hour, found.swept_at.minute) == (9, 17)


def test_the_oldest_open_run_is_told(system: System) -> None:
    pages = Pages(system.world)
    assert "<dt>Oldest open run</dt><dd>none</dd>" in pages.text("/health")
    for run_id in ("order-1", "order-2", "order-3"):
        start(system, run_id, console_shop, order="A")
    signal(system, "order-1", "paid", True)
    assert '<dt>Oldest open run</dt><dd><a class="id" href="/runs/order-2">' in pages.text("/health")


def test_what_the_operator_may_not_ask_is_left_out(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetQueueAttributes")

    monkeypatch.setattr(aws.world.access.sqs, "get_queue_attributes", denied)
    assert "These credentials may not read the queues" in Pages(aws.world).text("/health")
