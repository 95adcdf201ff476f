"""Schedules over the API."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.schedules import fire_next, run_id, started
from tests.support.systems import AWSSystem
from worldflow.worlds.recurrence import parse

NIGHTLY = {"schedule_id": "nightly", "workflow": "squares", "input": {"count": 2}, "schedule": "cron(0 8 * * ? *)"}


def created(api: Api, **fields: Any) -> dict[str, Any]:
    answer = api.post("/schedules", NIGHTLY | fields)
    assert answer.status == 201, answer
    body: dict[str, Any] = answer.body
    return body


@pytest.mark.time_of_day
def test_creating_one(api: Api) -> None:
    body = created(api)

    now = datetime.fromisoformat(body.pop("created_at"))
    assert body.pop("updated_at") == f"{now:%Y-%m-%dT%H:%M:%S.%fZ}"
    due = parse("cron(0 8 * * ? *)").after(now)
    assert body == {
        **NIGHTLY,
        "timezone": "UTC",
        "overlap": "skip",
        "paused": False,
        "next_due": f"{due:%Y-%m-%dT%H:%M:%SZ}",
    }


def test_all_that_one_can_have(api: Api) -> None:
    fields = {"schedule": "rate(5 minutes)", "timezone": "Europe/Berlin", "overlap": "allow", "paused": True}
    body = created(api, **fields)

    assert {name: body[name] for name in fields} == fields
    assert "next_due" not in body


def test_what_waits_is_missed_or_left(api: Api, aws: AWSSystem) -> None:
    body = created(api, workflow="collect", input={"count": 1}, overlap="buffer_one", catch_up="1h", remaining=2)
    assert (body["overlap"], body["catch_up"], body["remaining"]) == ("buffer_one", 3_600, 2)
    assert not {"buffered", "skipped", "missed", "limited_to"} & set(body)
    for _ in range(3):
        fire_next(aws)
    body = api.get("/schedules/nightly").body
    assert (body["remaining"], body["buffered"], body["skipped"]) == (1, 1, 1)
    body = api("PATCH", "/schedules/nightly", {"remaining": "unlimited", "catch_up": 0, "overlap": "skip"}).body
    assert not {"remaining", "catch_up", "buffered"} & set(body) and body["skipped"] == 2


def test_it_starts_runs(api: Api, aws: AWSSystem) -> None:
    created(api)
    due = fire_next(aws)

    assert [run.run_id for run in started(api.world)] == [run_id(due)]
    body = api.get("/schedules/nightly").body
    assert (body["last_run_id"], body["last_due"]) == (run_id(due), f"{due:%Y-%m-%dT%H:%M:%SZ}")


def test_creating_the_same_again_is_answered_200_and_changes_nothing(api: Api) -> None:
    first = created(api)
    second = api.post("/schedules", NIGHTLY)

    assert (second.status, second.body) == (200, first)
    assert len(api.stack.schedules()) == 1


@pytest.mark.parametrize(
    "other",
    [{"input": {"count": 3}}, {"schedule": "rate(1 day)"}, {"timezone": "Asia/Tokyo"}, {"overlap": "allow"}],
    ids=str,
)
def test_creating_another_of_that_id_is_answered_409(api: Api, other: dict[str, Any]) -> None:
    first = created(api)
    answer = api.post("/schedules", NIGHTLY | other)

    assert (answer.status, answer.error["type"], answer.fields) == (409, "ScheduleExistsError", ["schedule_id"])
    assert api.get("/schedules/nightly").body == first


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"schedule_id": "a b"}, ["schedule_id"]),
        ({"schedule_id": "a:b"}, ["schedule_id"]),
        ({"schedule_id": "x" * 51}, ["schedule_id"]),
        ({"schedule_id": ""}, ["schedule_id"]),
        ({"workflow": "unknown"}, ["workflow"]),
        ({"input": {"count": "many", "more": 1}}, ["input.count", "input.more"]),
        ({"input": {}}, ["input.count"]),
        ({"input": [1]}, ["body.input"]),
        ({"schedule": "0 8 * * *"}, ["schedule"]),
        ({"schedule": "cron(0 8 * * ? 2020)"}, ["schedule"]),
        ({"timezone": "Mars"}, ["timezone"]),
        ({"overlap": "queue"}, ["body.overlap"]),
        ({"paused": "perhaps"}, ["body.paused"]),
        ({"cron": "0 8 * * ? *"}, ["body.cron"]),
    ],
    ids=str,
)
def test_what_does_not_fit_is_answered_422_and_nothing_is_stored(
    api: Api, fields: dict[str, Any], named: list[str]
) -> None:
    answer = api.post("/schedules", NIGHTLY | fields)

    assert (answer.status, sorted(answer.fields)) == (422, named)
    assert api.stack.is_untouched()


@pytest.mark.parametrize("missing", ["schedule_id", "workflow", "schedule"])
def test_what_is_missing_is_answered_422(api: Api, missing: str) -> None:
    answer = api.post("/schedules", {name: value for name, value in NIGHTLY.items() if name != missing})

    assert (answer.status, answer.fields) == (422, [f"body.{missing}"])


def test_the_list_is_in_the_order_of_ids_a_page_at_a_time(api: Api) -> None:
    for name in ("b", "d", "a", "e", "c"):
        created(api, schedule_id=name)
    api("DELETE", "/schedules/d")

    seen, cursor = [], None
    for _ in range(3):
        body = api.get("/schedules", ("limit", "2"), *([("cursor", cursor)] if cursor else [])).body
        seen.append([schedule["schedule_id"] for schedule in body["schedules"]])
        cursor = body["cursor"]
        if cursor is None:
            break
    assert seen == [["a", "b"], ["c", "e"]]
    (first, *_) = api.get("/schedules").body["schedules"]
    assert first == {name: value for name, value in api.get("/schedules/a").body.items() if name != "input"}


@pytest.mark.parametrize("limit", ["0", "201", "x"])
def test_a_limit_that_is_none_is_answered_422(api: Api, limit: str) -> None:
    assert api.get("/schedules", ("limit", limit)).status == 422


def test_pausing_and_going_on(api: Api, aws: AWSSystem) -> None:
    created(api)
    paused = api("PATCH", "/schedules/nightly", {"paused": True})
    assert (paused.status, paused.body["paused"], "next_due" in paused.body) == (200, True, False)
    assert [schedule["State"] for schedule in api.stack.schedules()] == ["DISABLED"]

    resumed = api("PATCH", "/schedules/nightly", {"paused": False})
    assert (resumed.body["paused"], "next_due" in resumed.body) == (False, True)
    assert [schedule["State"] for schedule in api.stack.schedules()] == ["ENABLED"]


def test_changing_all_else(api: Api) -> None:
    before = created(api)
    changes = {"schedule": "cron(0 9 1 * ? *)", "timezone": "Europe/Berlin", "overlap": "allow"}
    changes |= {"workflow": "chain", "input": {"length": 3}}
    answer = api("PATCH", "/schedules/nightly", changes)

    assert answer.status == 200
    assert {name: answer.body[name] for name in changes} == changes
    assert answer.body["created_at"] == before["created_at"]
    assert answer.body["updated_at"] > before["updated_at"]
    (schedule,) = api.stack.schedules()
    assert schedule["ScheduleExpression"] == "cron(0 9 1 * ? *)"
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"schedule": "daily"}, ["schedule"]),
        ({"timezone": "Mars"}, ["timezone"]),
        ({"input": {"length": 1}}, ["input.count", "input.length"]),
        ({"workflow": "chain"}, ["count", "length"]),
        ({"workflow": "unknown"}, ["workflow"]),
        ({"schedule_id": "other"}, ["body.schedule_id"]),
    ],
    ids=str,
)
def test_a_change_that_does_not_fit_is_answered_422_and_changes_nothing(
    api: Api, changes: dict[str, Any], named: list[str]
) -> None:
    before = created(api)
    answer = api("PATCH", "/schedules/nightly", changes)

    assert (answer.status, sorted(answer.fields)) == (422, named)
    assert api.get("/schedules/nightly").body == before


def test_deleting_one(api: Api) -> None:
    created(api)
    answer = api("DELETE", "/schedules/nightly")

    assert (answer.status, answer.text) == (204, "")
    assert api.stack.is_untouched()
    created(api)


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PATCH", {"paused": True}), ("DELETE", None)])
def test_one_that_is_not_there_is_answered_404(api: Api, method: str, body: Any) -> None:
    answer = api(method, "/schedules/nightly", body)

    assert (answer.status, answer.error["type"], answer.fields) == (404, "ScheduleNotFoundError", ["schedule_id"])


def test_changing_the_input_of_one_that_is_not_there_is_answered_404(api: Api) -> None:
    assert api("PATCH", "/schedules/nightly", {"input": {}}).status == 404


def test_an_answer_says_what_is_stored(api: Api) -> None:
    text = "x" * 100_000
    body = created(api, workflow="fails", input={"message": text})

    assert body["input"] == {"message": text}
    assert api.get("/schedules/nightly").body["input"] == {"message": text}
    assert "input" not in api.get("/schedules").body["schedules"][0]
    assert len(api.stack.objects()) == 1
    assert datetime.fromisoformat(body["next_due"]).tzinfo == UTC
