"""GET /runs, GET /runs/{run_id}, GET /runs/{run_id}/events."""

from datetime import datetime
from typing import Any

import pytest

from tests.support import workflows
from tests.support.api import Api
from tests.support.systems import AWSSystem, cancel, finish, signal, start
from worldflow.runtime import starting


def test_a_run_that_nobody_has_taken_up_is_pending(api: Api, aws: AWSSystem) -> None:
    starting.start(aws.world, "r", workflows.chain, {"length": 2})
    answer = api.get("/runs/r")

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert (answer.body["status"], answer.body["workflow_name"], answer.body["input"]) == (
        "pending",
        "chain",
        {"length": 2},
    )


def test_a_run_that_has_completed_has_a_result(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", workflows.chain, length=2)

    body = api.get("/runs/r").body
    assert (body["run_id"], body["status"], body["result"]) == ("r", "completed", 2)
    assert datetime.fromisoformat(body["created_at"]) <= datetime.fromisoformat(body["ended_at"])
    assert "error" not in body


def test_a_run_that_has_failed_has_an_error(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", workflows.fails, message="no shelf")

    body = api.get("/runs/r").body
    assert body["status"] == "failed"
    assert (body["error"]["type"], body["error"]["message"]) == ("worldflow.engine.errors:FatalError", "no shelf")
    assert "result" not in body


def test_a_run_that_is_blocked_says_why(api: Api, aws: AWSSystem) -> None:
    starting.start(aws.world, "r", "teleport")
    aws.settle()

    body = api.get("/runs/r").body
    assert body["status"] == "blocked"
    assert "teleport" in body["blocked_reason"]


def test_a_run_may_have_any_id_that_is_allowed(api: Api) -> None:
    run_id = "a:b=c@d+e_f.g-h"
    assert api.post("/runs", {"workflow": "hello", "run_id": run_id}).status == 201

    assert api.get(f"/runs/{run_id}").body["run_id"] == run_id
    assert api.get(f"/runs/{run_id}/events").status == 200


@pytest.mark.parametrize("path", ["/runs/nobody", "/runs/nobody/events", "/runs/step%23r%23s1%231", "/runs/é"])
def test_there_may_be_no_such_run(api: Api, path: str) -> None:
    answer = api.get(path)

    assert (answer.status, answer.error["type"], answer.fields) == (404, "RunNotFoundError", ["run_id"])


def test_the_ledger_is_not_shown(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", workflows.chain, length=2)

    assert api.get("/runs/step#r#s1#1").status == 404


# --- events --------------------------------------------------------------------------------------------------------


def test_events_are_shown_in_order(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", workflows.collect, count=1)
    signal(aws, "r", "value", {"n": 1})

    body = api.get("/runs/r/events").body
    assert body["after"] is None
    assert [(event["seq"], event["event_type"]) for event in body["events"]] == [
        (1, "RunStarted"),
        (2, "SignalReceived"),
        (3, "RunCompleted"),
    ]
    assert set(body["events"][0]) == {"event_type", "seq", "at", "payload"}
    assert body["events"][1]["payload"] == {"signal_id": "value-1", "name": "value", "value": {"n": 1}}
    assert all(datetime.fromisoformat(event["at"]).tzinfo for event in body["events"])


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
def test_pages_of_events_hold_every_event_once(api: Api, aws: AWSSystem, limit: int) -> None:
    start(aws, "r", workflows.squares, count=6)
    expected = [event.seq for event in aws.world.read_events("r")]

    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        body = api.get("/runs/r/events", ("after", str(after)), ("limit", str(limit))).body
        assert len(body["events"]) <= limit
        seen += [event["seq"] for event in body["events"]]
        after = body["after"]
    assert seen == expected


def test_behind_the_last_event_is_nothing_yet(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", workflows.collect, count=1)

    assert api.get("/runs/r/events", ("after", "1")).body == {"events": [], "after": None}


def test_large_data_is_shown_whole(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", workflows.big_values, size=100_000)

    events: list[Any] = api.get("/runs/r/events").body["events"]
    assert events[2]["payload"]["result"] == "x" * 100_000


# --- the list ------------------------------------------------------------------------------------------------------


@pytest.fixture
def five_runs(aws: AWSSystem) -> list[str]:
    """Newest first."""
    for number in range(3):
        start(aws, f"waits-{number}", workflows.collect, count=1)
    start(aws, "done", workflows.chain, length=1)
    cancel(aws, "waits-1")
    finish(aws, "done")
    start(aws, "last", workflows.collect, count=1)
    return ["last", "done", "waits-2", "waits-1", "waits-0"]


def ids(body: Any) -> list[str]:
    return [run["run_id"] for run in body["runs"]]


def test_runs_are_listed_newest_first(api: Api, five_runs: list[str]) -> None:
    body = api.get("/runs").body

    assert ids(body) == five_runs
    assert body["cursor"] is None
    assert {"workflow_name": "chain", "status": "completed"}.items() <= body["runs"][1].items()
    assert "result" not in body["runs"][1]


def test_the_list_of_no_runs_is_empty(api: Api) -> None:
    assert api.get("/runs").body == {"runs": [], "cursor": None}


def test_runs_may_be_filtered(api: Api, five_runs: list[str]) -> None:
    assert ids(api.get("/runs", ("status", "cancelled")).body) == ["waits-1"]
    assert ids(api.get("/runs", ("workflow", "chain")).body) == ["done"]
    assert ids(api.get("/runs", ("workflow", "collect"), ("status", "running")).body) == ["last", "waits-2", "waits-0"]


def test_a_cursor_goes_on_where_a_page_ended(api: Api, five_runs: list[str]) -> None:
    seen: list[str] = []
    cursor: list[tuple[str, str]] = []
    for _ in range(3):
        body = api.get("/runs", ("limit", "2"), *cursor).body
        seen += ids(body)
        cursor = [("cursor", body["cursor"])]
    assert seen == five_runs
    assert body["cursor"] is None


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/runs", "limit", "0"),
        ("/runs", "limit", "201"),
        ("/runs", "limit", "many"),
        ("/runs", "status", "happy"),
        ("/runs", "cursor", "nonsense"),
        ("/runs/r/events", "after", "-1"),
        ("/runs/r/events", "after", "first"),
        ("/runs/r/events", "limit", "0"),
        ("/runs/r/events", "limit", "1001"),
    ],
)
def test_a_bad_parameter_is_named(api: Api, path: str, name: str, value: str) -> None:
    answer = api.get(path, (name, value))

    assert answer.status == 422
    assert [field.removeprefix("query.") for field in answer.fields] == [name]
