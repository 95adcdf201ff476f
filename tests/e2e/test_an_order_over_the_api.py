"""The main job: an order, started, approved and read over the HTTP API of the deployed template."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import until
from worldflow.devtools.stack import Stack

ORDER = {
    "order_id": "1001",
    "customer": "Ada",
    "card": "flaky",
    "lines": [
        {"sku": "KEYBOARD", "quantity": 2, "unit_price": "150.00"},
        {"sku": "SCREEN", "quantity": 3, "unit_price": "320.50"},
    ],
}

History = Callable[[str], list[dict[str, Any]]]


def _types(events: list[dict[str, Any]]) -> list[str]:
    return [event["event_type"] for event in events]


def test_an_order_over_the_limit_waits_for_its_approval_and_ships(
    stack: Stack, start: Callable[..., str], ended: Callable[..., dict[str, Any]], history: History
) -> None:
    run_id = start("fulfil_order", order=ORDER)
    until(lambda: "TimerStarted" in _types(history(run_id)) or None, within=30)
    # Three days are more than SQS can wait.
    schedules = stack.aws.client("scheduler").list_schedules()["Schedules"]
    assert [one["Name"].startswith("schedule-") for one in schedules].count(False) == 1

    answer = stack.call("POST", f"/runs/{run_id}/signals/approval", {"approved": True, "by": "Grace"})
    assert answer.status == 202
    record = ended(run_id)

    assert record["status"] == "completed"
    assert record["result"] == {"order_id": "1001", "tracking": "PARCEL-1001", "charged": "1261.50"}
    assert (record["attributes"], record["status_text"]) == ({"customer": "Ada"}, "shipped")
    assert _types(history(run_id)) == [
        "RunStarted",
        "AttributesSet",
        *["StepScheduled"] * 2,  # both lines are reserved side by side
        *["StepCompleted"] * 2,
        "AttributesSet",  # the status: it waits for approval
        "TimerStarted",
        "SignalReceived",
        "TimerCancelled",
        "AttributesSet",
        "StepScheduled",
        "StepFailed",  # the card is charged at the second attempt
        "StepRetryScheduled",
        "StepCompleted",
        "AttributesSet",
        "TimerStarted",
        "TimerFired",
        "StepScheduled",
        "StepCompleted",
        "AttributesSet",
        "RunCompleted",
    ]


def test_what_fails_is_undone(
    start: Callable[..., str], ended: Callable[..., dict[str, Any]], history: History
) -> None:
    small = [{"sku": "KEYBOARD", "quantity": 1, "unit_price": "150.00"}]
    run_id = start("fulfil_order", order=ORDER | {"customer": "nowhere", "card": "4242", "lines": small})
    record = ended(run_id)
    assert record["status"] == "failed"
    assert record["error"]["message"] == "the address does not exist"
    steps = [event["payload"]["name"] for event in history(run_id) if event["event_type"] == "StepScheduled"]
    assert steps == ["reserve", "charge", "ship", "refund", "release"]


def test_an_idempotency_key_starts_one_run(stack: Stack, ended: Callable[..., dict[str, Any]]) -> None:
    body = {"workflow": "doubles", "input": {"start": 1, "times": 1}}
    first, second = (stack.call("POST", "/runs", body, {"Idempotency-Key": "only-once"}) for _ in range(2))
    assert first == second
    assert first.status == 201
    assert ended(first.body["run_id"])["result"] == 2
    other = stack.call("POST", "/runs", body | {"workflow": "hello", "input": {}}, {"Idempotency-Key": "only-once"})
    assert (other.status, other.body["error"]["fields"][0]["field"]) == (422, "Idempotency-Key")


def test_a_request_that_is_not_signed_is_refused(stack: Stack) -> None:
    assert stack.call("GET", "/runs", sign=False).status == 403


def test_a_run_is_listed(stack: Stack, start: Callable[..., str], ended: Callable[..., dict[str, Any]]) -> None:
    run_id = start("doubles", start=1, times=1)
    ended(run_id)
    listed = stack.call("GET", "/runs?workflow=doubles&status=completed").body["runs"]
    assert run_id in [run["run_id"] for run in listed]
