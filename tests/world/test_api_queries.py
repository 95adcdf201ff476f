"""GET /runs/{run_id}/queries/{name}: what a run's workflow has published."""

from __future__ import annotations

import sys

import pytest

from tests.support.api import Api
from tests.support.systems import AWSSystem, finish, signal, start
from worldflow import InvalidInputError, publish, set_redactor, set_status, sleep, wait_for_signal, workflow
from worldflow.engine.workflow import definitions


@pytest.fixture
def run_id(aws: AWSSystem) -> str:
    @workflow
    async def packing() -> str:
        packed: list[str] = []
        publish("packed", lambda: packed)
        publish("stage", "packing")
        for _ in range(2):
            packed.append(await wait_for_signal("item", str))
        publish("stage", "packed")
        await sleep("1s")
        return "packed"

    start(aws, "r", packing)
    return "r"


def test_it_is_as_the_workflow_has_it_now(api: Api, aws: AWSSystem, run_id: str) -> None:
    assert api.get(f"/runs/{run_id}/queries/packed").body == {"result": []}

    signal(aws, run_id, "item", "pear")
    assert api.get(f"/runs/{run_id}/queries/packed").body == {"result": ["pear"]}
    assert api.get(f"/runs/{run_id}/queries/stage").body == {"result": "packing"}


def test_a_function_gets_the_arguments_of_the_request(api: Api, aws: AWSSystem) -> None:
    @workflow
    async def counted() -> None:
        publish("count", lambda of, more=0: of.count("e") + more)
        await wait_for_signal("end")

    start(aws, "c", counted)
    path = "/runs/c/queries/count"
    assert api("GET", path, query=[("args", '{"of": "pear", "more": 2}')]).body == {"result": 3}

    for args, field in ((None, "of"), ('{"of": "pear", "is": 1}', "is"), ("[1]", "args"), ("{", "args")):
        answer = api("GET", path, query=[("args", args)] if args else [])
        assert (answer.status, answer.error["type"], answer.fields) == (422, "InvalidInputError", [field])


def test_it_is_there_when_the_run_has_ended(api: Api, aws: AWSSystem, run_id: str) -> None:
    for item in ("pear", "plum"):
        api.post(f"/runs/{run_id}/signals/item", f'"{item}"')
    finish(aws, run_id)

    answer = api.get(f"/runs/{run_id}/queries/stage")
    assert (answer.status, answer.body) == (200, {"result": "packed"})


def test_nothing_is_written_or_sent(api: Api, run_id: str) -> None:
    stack = api.stack
    before = stack.items("events"), stack.items("runs"), stack.objects()
    api.get(f"/runs/{run_id}/queries/stage")

    assert (stack.items("events"), stack.items("runs"), stack.objects()) == before
    assert [stack.messages(queue) for queue in ("runs", "steps", "timers")] == [[], [], []]


def test_what_is_not_published_is_not_found(api: Api, run_id: str) -> None:
    answer = api.get(f"/runs/{run_id}/queries/other")

    assert (answer.status, answer.error["type"], answer.fields) == (404, "QueryNotFoundError", ["name"])
    assert "packed, stage" in answer.error["message"]


def test_nobody_has_published_nothing(api: Api) -> None:
    answer = api.get("/runs/nobody/queries/stage")

    assert (answer.status, answer.error["type"], answer.fields) == (404, "RunNotFoundError", ["run_id"])


def test_code_that_has_changed_under_the_run_cannot_tell(
    api: Api, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(definitions._workflows._versions, "packing")

    @workflow(name="packing")
    async def other() -> None:
        await sleep("1d")

    answer = api.get(f"/runs/{run_id}/queries/stage")
    assert (answer.status, answer.error["type"], answer.fields) == (409, "NonDeterminismError", [])


@pytest.mark.parametrize(
    ("name", "status", "type", "message"),
    [
        ("raises", 409, "IndexError", "list index out of range"),
        ("exits", 409, "SystemExit", "3"),
        ("decides", 409, "WorldflowError", "must be read-only"),
        ("refuses", 422, "InvalidInputError", "nobody asks for that"),
    ],
)
def test_what_raises_is_the_answer_each_time(
    api: Api, aws: AWSSystem, name: str, status: int, type: str, message: str
) -> None:
    def refuse() -> None:
        raise InvalidInputError("nobody asks for that")

    @workflow
    async def broken() -> None:
        publish("raises", lambda: [][1])
        publish("exits", lambda: sys.exit(3))
        publish("decides", lambda: set_status("looked at"))
        publish("refuses", refuse)
        await wait_for_signal("end")

    start(aws, "b", broken)
    for _ in range(2):
        answer = api.get(f"/runs/b/queries/{name}")
        assert (answer.status, answer.error["type"]) == (status, type)
        assert message in answer.error["message"]


def test_what_raises_is_told_as_the_redactor_leaves_it(
    api: Api, aws: AWSSystem, request: pytest.FixtureRequest
) -> None:
    def fail() -> None:
        raise ValueError("card 4242")

    @workflow
    async def with_a_card() -> None:
        publish("card", fail)
        await wait_for_signal("end")

    request.addfinalizer(lambda: set_redactor(None))
    set_redactor(lambda text: text.replace("4242", "<card>"))
    start(aws, "b", with_a_card)
    assert api.get("/runs/b/queries/card").error["message"] == "card <card>"
