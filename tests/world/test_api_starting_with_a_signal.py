"""POST /runs with a `signal`: a run that gets it, started unless it is there."""

from typing import Any

import pytest

from tests.support import workflows
from tests.support.api import Answer, Api
from tests.support.systems import AWSSystem, finish, start, story

SIGNAL = {"name": "value", "value": {"n": 1}}


def post(api: Api, signal: Any = SIGNAL, key: str | None = None, **fields: Any) -> Answer:
    return api.post(
        "/runs", {"workflow": "collect", "run_id": "r", "input": {"count": 1}, "signal": signal, **fields}, key=key
    )


def test_a_new_run_gets_it(api: Api, aws: AWSSystem) -> None:
    answer = post(api)

    assert answer.status == 201
    assert answer.body.keys() == {"run_id", "workflow", "status", "signal_id"}
    assert finish(aws, "r").result == [{"n": 1}]


def test_one_that_runs_gets_it(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", workflows.collect, count=2)
    assert [post(api).status for _ in range(2)] == [200, 200]

    assert finish(aws, "r").result == [{"n": 1}] * 2


def test_where_one_has_ended_another_is_started(api: Api, aws: AWSSystem) -> None:
    post(api)
    finish(aws, "r")
    answer = post(api)

    assert (answer.status, answer.body["run_id"]) == (201, "r~2")
    assert finish(aws, "r~2").result == [{"n": 1}]
    assert post(api, reuse="reject").status == 409


def test_the_same_request_twice_is_one_signal(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", workflows.collect, count=2)
    first, second = (post(api, key="k1") for _ in range(2))
    aws.settle()

    assert (first.status, first.body) == (second.status, second.body)
    assert [kind for kind, _ in story(aws, "r")].count("SignalReceived") == 1


def test_a_signal_without_a_value(api: Api, aws: AWSSystem) -> None:
    post(api, {"name": "value"})

    assert finish(aws, "r").result == [None]


@pytest.mark.parametrize(
    ("signal", "field"),
    [({"value": 1}, "body.signal.name"), ({"name": "a b"}, "signal.name"), ("value", "body.signal")],
    ids=str,
)
def test_what_does_not_fit_is_refused_and_nothing_started(api: Api, signal: Any, field: str) -> None:
    answer = post(api, signal)

    assert (answer.status, answer.fields) == (422, [field])
    assert api.stack.is_untouched()
