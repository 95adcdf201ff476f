"""What Lambda can carry: 6 MB of JSON. What is larger is left out of answers, or refused, with its size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support import workflows
from tests.support.api import Api
from tests.support.lambdas import Context, api_module, function, http_event
from tests.support.systems import AWSSystem, start
from tests.support.threads import replace_sleep
from worldflow import create_webhook, publish, wait_for_signal, workflow
from worldflow.engine.history import RunStarted, StepCompleted
from worldflow.engine.workflow.webhooks import RESPONSE_LIMIT
from worldflow.runtime import starting
from worldflow.worlds import RunRecord
from worldflow.worlds.payloads import stash

NOW = datetime(2026, 1, 15, 10, tzinfo=UTC)
LAMBDA_LIMIT = 6_291_556
"""Bytes of what a function answers, envelope and all."""


def limits() -> dict[str, Any]:
    return vars(api_module("describing"))


def text(size: int, letter: str = "x") -> str:
    """What takes so many bytes as JSON."""
    return letter * (size - 2)


def answered(path: str, *query: tuple[str, str]) -> dict[str, Any]:
    """The function's answer as Lambda gets it."""
    answer: dict[str, Any] = function("signal").handler(http_event("GET", path, query=query), Context())
    # As the runtimes up to Python 3.11 write it: what is not ASCII takes more.
    assert len(json.dumps(answer)) <= LAMBDA_LIMIT
    return answer


def calls(monkeypatch: pytest.MonkeyPatch, name: str) -> list[Any]:
    """The calls of a method of the function's world from now on."""
    world, made = function("signal").function.world, []
    method = getattr(world, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        made.append((args, kwargs))
        return method(*args, **kwargs)

    monkeypatch.setattr(world, name, counted)
    return made


def put_run(api: Api, **values: Any) -> None:
    stored = {name: stash(api.world, "r", value) for name, value in values.items()}
    record = RunRecord(run_id="r", workflow_name="flow", status="completed", created_at=NOW, updated_at=NOW, **stored)
    api.world.create_run(record)


def put_history(api: Api, sizes: list[int], a_commit: int = 1) -> None:
    """A run whose steps have results of these sizes, so many in a commit."""
    put_run(api)
    events: list[Any] = [RunStarted(run_id="r", seq=1, at=NOW)]
    for seq, size in enumerate(sizes, 2):
        result = stash(api.world, "r", text(size, chr(ord("a") + seq % 26)))
        events.append(StepCompleted(step_id=f"s{seq}", result=result, seq=seq, at=NOW))
    for first in range(0, len(events), a_commit):
        api.world.append("r", events[first : first + a_commit])


# --- runs ----------------------------------------------------------------------------------------------------------


def test_a_result_is_shown_up_to_the_limit_and_beyond_it_its_size(api: Api) -> None:
    limit = limits()["DATA_LIMIT"]
    put_run(api, result=text(limit))
    body = api.get("/runs/r").body
    assert (len(body["result"]), "omitted" in body) == (limit - 2, False)

    api.world.update_run(api.world.get_run("r").model_copy(update={"result": stash(api.world, "r", text(limit + 1))}))
    body = api.get("/runs/r").body
    assert ("result" in body, body["omitted"]) == (False, {"result": limit + 1})
    assert body["status"] == "completed"


def test_a_result_comes_before_an_input_that_has_no_room_beside_it(api: Api) -> None:
    limit = limits()["DATA_LIMIT"]
    put_run(api, input={"text": text(limit - 100_000)}, result=text(200_000))

    body = api.get("/runs/r").body
    assert (len(body["result"]), list(body["omitted"])) == (199_998, ["input"])


def test_what_is_left_out_is_not_fetched(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    put_run(api, result=text(limits()["DATA_LIMIT"] + 1), input=text(100_000))
    fetched = calls(monkeypatch, "get_payload")
    api.get("/runs/r")

    assert len(fetched) == 1


@pytest.mark.parametrize("letter", ["x", "é", "\\", '"', "😀", "\u0001"], ids=ascii)
@pytest.mark.parametrize("limit", ["PLAIN_LIMIT", "DATA_LIMIT"])
def test_lambda_can_carry_it_whatever_the_text_is(api: Api, letter: str, limit: str) -> None:
    size = limits()[limit]
    length = (size - 2) // (len(json.dumps(letter, ensure_ascii=False).encode()) - 2)
    put_run(api, result=letter * length)

    assert answered("/runs/r")["statusCode"] == 200
    assert api.get("/runs/r").body["result"] == letter * length


class Reversed:
    """A codec that whoever reads it must know of."""

    def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        return data[::-1]

    decode = encode


def test_data_that_is_encoded_is_shown_as_it_was(api: Api, aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    for world in (aws.world, function("signal").function.world):
        monkeypatch.setattr(world, "codec", Reversed())
    starting.start(aws.world, "fails", workflows.fails, {"message": "no shelf"})
    starting.start(aws.world, "large", workflows.big_values, {"size": 100_000})
    starting.start(aws.world, "blocked", "teleport")
    aws.settle()

    body = api.get("/runs/fails").body
    assert (body["input"], body["error"]["message"]) == ({"message": "no shelf"}, "no shelf")
    assert "teleport" in api.get("/runs/blocked").body["blocked_reason"]
    events = api.get("/runs/fails/events").body["events"]
    assert [event["payload"]["error"]["message"] for event in events if "error" in event["payload"]][-1] == "no shelf"
    assert "x" * 100_000 in api.get("/runs/large/events").text
    shown = "".join(
        api.get(f"/runs/{name}{path}").text for name in ("fails", "blocked", "large") for path in ("", "/events")
    )
    assert not [word for word in ("$encoded", "$payload", "packed") if word in shown]


# --- histories -----------------------------------------------------------------------------------------------------


def pages(api: Api, limit: int = 1000) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = []
    after: int | None = 0
    while after is not None:
        query = [("after", str(after)), ("limit", str(limit))]
        answered("/runs/r/events", *query)
        body = api.get("/runs/r/events", *query).body
        found.append(body["events"])
        after = body["after"]
    return found


def test_a_page_of_events_ends_where_it_is_full(api: Api) -> None:
    put_history(api, [900_000] * 9)

    found = pages(api)
    assert [event["seq"] for page in found for event in page] == list(range(1, 11))
    assert all("omitted" not in event for page in found for event in page)
    assert [len(page) for page in found] == [5, 4, 1]


def test_small_events_fill_a_page_too(api: Api) -> None:
    """Nothing here is in the bucket."""
    put_history(api, [60_000] * 100, a_commit=5)

    found = pages(api)
    assert [event["seq"] for page in found for event in page] == list(range(1, 102))
    assert len(found) == 2


def test_an_event_that_no_page_has_room_for_says_how_large_it_is(api: Api) -> None:
    limit = limits()["DATA_LIMIT"]
    put_history(api, [100_000, limit, limit + 1, 100_000])

    events = [event for page in pages(api) for event in page]
    assert [event["seq"] for event in events] == [1, 2, 3, 4, 5]
    assert [event.get("omitted") for event in events] == [None, None, None, {"result": limit + 1}, None]
    assert events[3]["payload"]["step_id"] == "s4"
    assert len(events[2]["payload"]["result"]) == limit - 2


@pytest.mark.parametrize("limit", [3, 10, 1000])
def test_pages_may_end_within_a_commit(api: Api, limit: int) -> None:
    put_history(api, [10] * 40, a_commit=10)

    found = pages(api, limit)
    assert [event["seq"] for page in found for event in page] == list(range(1, 42))
    assert all(len(page) <= limit for page in found)


def test_a_page_does_not_read_the_whole_history(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    put_history(api, [10] * 50)
    read = calls(monkeypatch, "load_history")
    api.get("/runs/r/events", ("limit", "5"))

    assert read == [(("r", 0, 20), {})]


# --- what cannot be shown in part ----------------------------------------------------------------------------------


def test_an_answer_that_is_too_large_is_refused_with_its_size(api: Api, aws: AWSSystem) -> None:
    @workflow
    async def grows() -> None:
        publish("fits", "x" * (limits()["BODY_LIMIT"] - 13))
        publish("does not", "x" * (limits()["BODY_LIMIT"] - 12))
        await wait_for_signal("go")

    start(aws, "r", grows)
    fits = answered("/runs/r/queries/fits")
    too_large = api.get("/runs/r/queries/does not")

    assert (fits["statusCode"], fits["isBase64Encoded"]) == (200, True)
    assert (too_large.status, too_large.error["type"]) == (413, "AnswerTooLargeError")
    assert str(limits()["BODY_LIMIT"] + 1) in too_large.error["message"]


def test_the_largest_answer_of_a_workflow_to_a_webhook_fits(
    api: Api, aws: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    @workflow
    async def answers() -> None:
        webhook = create_webhook(respond="workflow")
        publish("url", webhook.url)
        (await webhook).respond(body=b"\0" * RESPONSE_LIMIT)

    replace_sleep(monkeypatch, lambda _: aws.settle())
    start(aws, "r", answers)

    assert len(api.webhook(api.get("/runs/r/queries/url").body["result"]).data) == RESPONSE_LIMIT
    assert limits()["BODY_LIMIT"] >= RESPONSE_LIMIT
