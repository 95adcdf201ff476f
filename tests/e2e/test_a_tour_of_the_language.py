"""What workflows can say, over the API of the deployed stack: each function with its own rights and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import until
from worldflow.devtools.stack import Stack


def test_a_tour(stack: Stack, ended: Callable[..., dict[str, Any]], history: Callable[[str], list[Any]]) -> None:
    run_id = "tour-1"
    request = {"workflow": "tour", "input": {"traveller": "ada"}, "run_id": run_id, "reuse": "reject"}
    assert stack.call("POST", "/runs", request).status == 201

    def begun() -> dict[str, Any] | None:
        runs: list[dict[str, Any]] = stack.call("GET", "/runs?attribute.traveller=ada").body["runs"]
        return runs[0] if runs else None

    listed = until(begun, within=30)
    assert listed["run_id"] == run_id
    webhook = listed["attributes"]["webhook"]
    assert webhook.startswith(f"{stack.outputs['WebhookUrl']}/")

    # An update, which runs a step; a query; a hook.
    answer = stack.call("POST", f"/runs/{run_id}/updates/note", {"args": [21]}, {"Idempotency-Key": "first-note"})
    assert (answer.status, answer.body) == (200, {"update_id": "first-note", "result": 1})
    refused = stack.call("POST", f"/runs/{run_id}/updates/note", {"args": ["many"]})
    assert (refused.status, refused.body["error"]["type"]) == (422, "InvalidInputError")
    assert stack.call("GET", f"/runs/{run_id}/queries/diary").body == {"result": [42]}
    assert stack.call("GET", "/hooks/adas-hook").body["run_id"] == run_id

    # The webhook takes what nobody signed, if its token is genuine; nothing else does.
    assert stack.call_webhook("POST", f"{webhook}x", "forged").status == 404
    answer = stack.call_webhook("PUT", webhook, "a stranger")
    assert (answer.status, answer.body) == (201, {"came by": "PUT"})
    assert stack.call("POST", "/hooks/adas-hook", "a friend", sign=False).status == 403
    assert stack.call("POST", "/hooks/adas-hook", '"a friend"').status == 202

    # A child, an inline step, a step that falls silent, and the next generation.
    assert ended(run_id)["status"] == "continued"
    assert stack.call_webhook("POST", webhook, "late").status == 410
    assert ended(f"{run_id}~c1")["parent"] == {"run_id": run_id, "child_id": "c1"}
    lost = [event["payload"]["error"] for event in history(run_id) if event["event_type"] == "StepFailed"]
    # Once; a second time only where the machine takes two seconds over an attempt that takes none.
    assert {(error["type"], error["message"].partition(":")[2]) for error in lost} == {
        ("worldflow.engine.errors:StepTimeoutError", " it sent no heartbeat for 2s")
    }

    # The next generation fails, and goes on where it failed.
    assert ended(f"{run_id}~2")["error"]["message"] == "not yet"
    answer = stack.call("POST", f"/runs/{run_id}/retry", headers={"Idempotency-Key": "retry"})
    assert (answer.status, answer.body["run_id"]) == (201, f"{run_id}~3")
    assert ended(f"{run_id}~3")["result"] == [42, "a stranger", "a friend", 4, "s2", 7, "~3"]
