"""POST and GET /hooks/{token}: a value for whoever holds the token, and who that is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api
from tests.support.systems import AWSSystem, finish, start, story
from worldflow import create_hook, workflow

TOKEN = "approval:order-1@shop"


@pytest.fixture
def run_id(aws: AWSSystem) -> str:
    """A run with a hook that takes two values."""

    @workflow
    async def asks() -> list[Any]:
        with create_hook(token=TOKEN, metadata={"for": "Grace"}) as hook:
            return [await hook, await hook]

    start(aws, "r", asks)
    return "r"


def test_the_body_is_the_value(api: Api, aws: AWSSystem, run_id: str) -> None:
    first = api.post(f"/hooks/{TOKEN}", {"approved": True})
    second = api.post(f"/hooks/{TOKEN}")

    assert [first.status, second.status] == [202, 202]
    assert first.body.keys() == {"run_id", "hook_id", "resume_id"}
    assert first.body["run_id"] == run_id
    assert finish(aws, run_id).result == [{"approved": True}, None]


def test_a_heartbeat(api: Api, run_id: str) -> None:
    answer = api.post(f"/hooks/{TOKEN}/heartbeat")

    assert (answer.status, answer.body) == (202, {"run_id": run_id, "hook_id": "h1"})
    assert api.world.get_item("beat#r/h1")
    assert api.post("/hooks/nobodys/heartbeat").status == 404


def test_who_holds_a_token(api: Api, run_id: str) -> None:
    answer = api.get(f"/hooks/{TOKEN}")

    assert answer.status == 200
    assert answer.body == {"token": TOKEN, "run_id": run_id, "hook_id": "h1", "metadata": {"for": "Grace"}}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_token_that_nobody_holds(api: Api, aws: AWSSystem, run_id: str, method: str) -> None:
    never = api(method, "/hooks/other")
    assert (never.status, never.error["type"], never.fields) == (404, "HookNotFoundError", ["token"])

    for _ in range(2):
        api.post(f"/hooks/{TOKEN}", 1)
    finish(aws, run_id)
    assert api(method, f"/hooks/{TOKEN}").status == 404
    assert api.stack.messages("runs") == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_no_token_is_refused(api: Api, method: str) -> None:
    answer = api(method, "/hooks/a b")

    assert (answer.status, answer.fields) == (422, ["token"])


def test_a_body_that_is_no_json_is_refused(api: Api, run_id: str) -> None:
    answer = api.post(f"/hooks/{TOKEN}", "approved=true")

    assert (answer.status, answer.error["type"]) == (400, "MalformedBodyError")
    assert api.stack.messages("runs") == []


def test_the_same_value_twice_is_one_value_and_one_answer(api: Api, aws: AWSSystem, run_id: str) -> None:
    first, second = (api.post(f"/hooks/{TOKEN}", 1, key="k1") for _ in range(2))
    aws.settle()

    assert (first.status, first.body) == (second.status, second.body)
    assert [kind for kind, _ in story(aws, run_id)].count("HookResumed") == 1
    assert api.post(f"/hooks/{TOKEN}", 2, key="k1").fields == ["Idempotency-Key"]


def test_a_failure_in_place_of_a_value(api: Api, aws: AWSSystem, run_id: str) -> None:
    answer = api.post(f"/hooks/{TOKEN}/fail", {"error": "out of paper"})

    assert (answer.status, answer.body.keys()) == (202, {"run_id", "hook_id", "resume_id"})
    error = finish(aws, run_id).error
    assert error is not None and error.message == "out of paper"
    assert api.post(f"/hooks/{TOKEN}/fail").status == 422
