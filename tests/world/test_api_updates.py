"""POST /runs/{run_id}/updates/{name}: the workflow answers, or will."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Answer, Api
from tests.support.systems import AWSSystem, finish, signal, start, story
from tests.support.threads import replace_sleep
from worldflow import FatalError, InvalidInputError, on_update, step, wait_for_signal, workflow


@pytest.fixture
def waiting(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """While the API waits, all else goes on. These are the times that it waited."""
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        aws.settle()

    replace_sleep(monkeypatch, sleep)
    return waited


@pytest.fixture
def run_id(aws: AWSSystem, waiting: list[float]) -> str:
    """A run that keeps a basket, and is ready for it when it has got the signal `open`."""

    @step
    async def price(item: str) -> int:
        return len(item)

    @workflow
    async def basket() -> list[str]:
        items: list[str] = []
        await wait_for_signal("open")

        @on_update("add")
        async def add(item: str, count: int = 1) -> dict[str, int]:
            if item == "nothing":
                raise FatalError("nothing is not sold")
            if item == "everything":
                raise InvalidInputError("that is too much")
            if item == "something":
                raise SoldOut("something is gone", 3)
            items.extend([item] * count)
            return {"items": len(items), "price": await price(item)}

        await wait_for_signal("checkout")
        return items

    start(aws, "r", basket)
    return "r"


class SoldOut(Exception):
    pass


def add(api: Api, *args: Any, key: str | None = None) -> Answer:
    return api.post("/runs/r/updates/add", {"args": args}, key=key)


def test_the_workflow_answers(api: Api, aws: AWSSystem, run_id: str) -> None:
    signal(aws, run_id, "open")
    answer = add(api, "pear", 2)

    assert answer.status == 200
    assert answer.body["result"] == {"items": 2, "price": 4}
    signal(aws, run_id, "checkout")
    assert finish(aws, run_id).result == ["pear", "pear"]


def test_an_update_may_have_no_arguments(api: Api, aws: AWSSystem, waiting: list[float]) -> None:
    @workflow
    async def counter() -> None:
        on_update("count")(lambda: 3)
        await wait_for_signal("end")

    start(aws, "r", counter)
    for body in (None, {}, {"args": []}):
        assert api.post("/runs/r/updates/count", body).body["result"] == 3


@pytest.mark.parametrize(
    ("item", "status", "type_name", "message"),
    [
        ("nothing", 409, "FatalError", "nothing is not sold"),
        ("everything", 422, "InvalidInputError", "that is too much"),
        ("something", 409, "SoldOut", "('something is gone', 3)"),
    ],
)
def test_what_the_handler_raises_is_the_answer(
    api: Api, aws: AWSSystem, run_id: str, item: str, status: int, type_name: str, message: str
) -> None:
    signal(aws, run_id, "open")
    answer = add(api, item)

    assert (answer.status, answer.error["type"], answer.error["message"]) == (status, type_name, message)
    assert aws.world.read_run(run_id).status == "running"


@pytest.mark.parametrize(
    ("args", "fields"),
    [
        ([], ["args"]),
        (["pear", "many"], ["count"]),
        ([{"item": 1}, "x"], ["item", "count"]),
        (["pear", 1, 2], ["args"]),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_refused(
    api: Api, aws: AWSSystem, run_id: str, args: list[Any], fields: list[str]
) -> None:
    signal(aws, run_id, "open")
    answer = add(api, *args)

    assert (answer.status, answer.error["type"], answer.fields) == (422, "InvalidInputError", fields)


def test_an_answer_that_takes_too_long_can_be_asked_for_later(
    api: Api, aws: AWSSystem, run_id: str, waiting: list[float]
) -> None:
    first = add(api, "pear")
    update_id = first.body["update_id"]

    assert (first.status, first.body) == (202, {"run_id": run_id, "update_id": update_id})
    assert 19 < sum(waiting) < 24
    assert add(api, "pear", key=update_id).status == 202

    signal(aws, run_id, "open")
    answer = add(api, "pear", key=update_id)
    assert (answer.status, answer.body) == (200, {"update_id": update_id, "result": {"items": 1, "price": 4}})


def test_the_same_key_is_one_update_and_one_answer(api: Api, aws: AWSSystem, run_id: str) -> None:
    signal(aws, run_id, "open")
    first, second, other = (add(api, "pear", key=key) for key in ("k1", "k1", "k2"))

    assert (first.status, first.body) == (second.status, second.body)
    assert first.body["update_id"] == "k1"
    assert [answer.body["result"]["items"] for answer in (first, other)] == [1, 2]
    assert [kind for kind, _ in story(aws, run_id)].count("UpdateReceived") == 2


def test_an_answer_can_be_asked_for_when_the_run_has_ended(api: Api, aws: AWSSystem, run_id: str) -> None:
    signal(aws, run_id, "open")
    first = add(api, "pear", key="k1")
    signal(aws, run_id, "checkout")
    assert finish(aws, run_id).result == ["pear"]

    assert add(api, "pear", key="k1") == first
    assert add(api, "pear", key="k2").status == 409


def test_a_run_that_ends_meanwhile_gives_no_answer(api: Api, aws: AWSSystem, run_id: str) -> None:
    api.post(f"/runs/{run_id}/terminate")
    answer = add(api, "pear")

    assert (answer.status, answer.error["type"], answer.fields) == (409, "RunEndedError", ["run_id"])


def test_nobody_answers_nothing(api: Api) -> None:
    answer = api.post("/runs/nobody/updates/add", {"args": ["pear"]})

    assert (answer.status, answer.fields) == (404, ["run_id"])
    assert api.stack.is_untouched()


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("/runs/r/updates/a b", {"args": []}, ["name"]),
        ("/runs/r/updates/add", {"args": "pear"}, ["body.args"]),
        ("/runs/r/updates/add", ["pear"], ["body"]),
        ("/runs/r/updates/add", {"arguments": []}, ["body.arguments"]),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(api: Api, run_id: str, path: str, body: Any, fields: list[str]) -> None:
    answer = api.post(path, body)

    assert (answer.status, answer.fields) == (422, fields)
    assert api.stack.messages("runs") == []


@pytest.fixture
def guarded(aws: AWSSystem, waiting: list[float]) -> str:
    @workflow
    async def guarded_basket(most: int = 1) -> list[str]:
        items: list[str] = []

        def check(item: str) -> None:
            if len(items) == most:
                raise FatalError("the basket is full")

        @on_update("add", validator=check)
        async def add(item: str) -> int:
            items.append(item)
            await wait_for_signal("added")
            return len(items)

        await wait_for_signal("checkout")
        return items

    return "guarded_basket"


def test_an_update_starts_its_run_and_is_accepted(api: Api, aws: AWSSystem, guarded: str) -> None:
    request = {"args": ["tea"], "start": {"workflow": guarded, "input": {"most": 1}}, "wait_for": "acceptance"}
    sent = api.post("/runs/new/updates/add", request, key="one")
    assert (sent.status, sent.body) == (202, {"run_id": "new", "update_id": "one"})

    refused = api.post("/runs/new/updates/add", {**request, "args": ["hat"]})
    assert (refused.status, refused.error["type"], refused.error["message"]) == (
        409,
        "FatalError",
        "the basket is full",
    )
    signal(aws, "new", "added")
    assert api.post("/runs/new/updates/add", request | {"wait_for": "answer"}, key="one").body["result"] == 1


@pytest.mark.parametrize(
    ("start", "field"),
    [
        ({"workflow": "nowhere"}, "workflow"),
        ({"workflow": "guarded_basket", "input": {"least": 1}}, "start.input.least"),
    ],
)
def test_a_start_that_is_none_is_refused(api: Api, guarded: str, start: dict[str, Any], field: str) -> None:
    answer = api.post("/runs/none/updates/add", {"args": ["tea"], "start": start})
    assert (answer.status, answer.fields[0].removeprefix("start.")) == (422, field.removeprefix("start."))
    assert api.get("/runs/none").status == 404
