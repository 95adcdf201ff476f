"""POST /runs/{run_id}/fork: a new run with the history of another up to some event."""

from typing import Any

import pytest

from tests.support import workflows
from tests.support.api import Api
from tests.support.systems import AWSSystem, finish, start, story


@pytest.fixture
def chain(aws: AWSSystem) -> str:
    start(aws, "r", workflows.chain, length=3)
    return "r"


def after_first_step(aws: AWSSystem) -> int:
    return next(event.seq for event in aws.world.load_history("r") if event.event_type == "StepCompleted")


def test_a_run_goes_on_from_anothers_history(api: Api, aws: AWSSystem, chain: str) -> None:
    after = after_first_step(aws)
    answer = api.post("/runs/r/fork", {"run_id": "copy", "after": after})

    assert (answer.status, answer.body) == (201, {"run_id": "copy", "workflow": "chain"})
    assert finish(aws, "copy").result == 3
    begun = [(kind, payload.get("step_id")) for kind, payload in story(aws, "copy")][1 : after + 1]
    assert begun == [(kind, payload.get("step_id")) for kind, payload in story(aws, "r")][1 : after + 1]


def test_the_same_request_twice_is_one_run(api: Api, aws: AWSSystem, chain: str) -> None:
    request = {"run_id": "copy", "after": after_first_step(aws)}
    first, second = (api.post("/runs/r/fork", request) for _ in range(2))

    assert (first.status, first.body) == (second.status, second.body)


def test_an_id_that_is_taken_is_refused(api: Api, aws: AWSSystem, chain: str) -> None:
    start(aws, "other", workflows.collect, count=1)
    answer = api.post("/runs/r/fork", {"run_id": "other", "after": after_first_step(aws)})

    assert (answer.status, answer.error["type"], answer.fields) == (409, "RunExistsError", ["run_id"])


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        ({"run_id": "copy", "after": 99}, ["after"]),
        ({"run_id": "a copy", "after": 2}, ["new_run_id"]),
        ({"run_id": "copy"}, ["after"]),
        ({"run_id": "copy", "edit": {"one": 1}}, ["edit"]),
        ({"run_id": "copy", "edit": {"3": "text"}}, ["edit.3.result"]),
        ({"run_id": "copy", "edit": [1]}, ["body.edit"]),
        ({"after": 2}, ["body.run_id"]),
        ({}, ["body.run_id"]),
        (None, ["body"]),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(api: Api, chain: str, request_: Any, fields: list[str]) -> None:
    answer = api.post("/runs/r/fork", request_)

    assert (answer.status, answer.fields) == (422, fields)
    assert api.world.get_run("copy") is None


def test_nobody_has_no_history(api: Api) -> None:
    answer = api.post("/runs/nobody/fork", {"run_id": "copy", "after": 1})

    assert (answer.status, answer.fields) == (404, ["run_id"])
    assert api.stack.is_untouched()


def test_a_fork_has_other_data_in_its_history(api: Api, aws: AWSSystem, chain: str) -> None:
    after = after_first_step(aws)
    answer = api.post("/runs/r/fork", {"run_id": "copy", "edit": {str(after): 10}})

    assert (answer.status, answer.body) == (201, {"run_id": "copy", "workflow": "chain"})
    assert finish(aws, "copy").result == 12
    assert api.get("/runs/copy").body["fork_of"] == {"run_id": "r", "after": after}
    forked = next(event for event in api.get("/runs/copy/events").body["events"] if event["event_type"] == "RunForked")
    assert forked["payload"]["edit"] == {str(after): 10}

    again = api.post("/runs/r/fork", {"run_id": "short", "edit": {"input": {"length": 1}}})
    assert again.status == 201
    assert finish(aws, "short").result == 1
