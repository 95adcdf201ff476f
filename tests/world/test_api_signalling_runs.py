"""POST /runs/{run_id}/signals/{name} and POST /runs/{run_id}/cancel."""

from typing import Any

import pytest

from tests.support import workflows
from tests.support.api import Api
from tests.support.systems import AWSSystem, finish, start, story
from worldflow.engine.history import CancelRequested, SignalReceived
from worldflow.worlds.messages import FactArrived, load_message


@pytest.fixture
def run_id(aws: AWSSystem) -> str:
    """A run that waits for three signals."""
    start(aws, "r", workflows.collect, count=3)
    return "r"


@pytest.fixture
def ended(aws: AWSSystem) -> str:
    start(aws, "over", workflows.chain, length=1)
    return "over"


def sent(api: Api) -> list[Any]:
    facts = []
    for message in api.stack.messages("runs"):
        content = load_message(message.body)
        assert isinstance(content, FactArrived)
        facts.append(content.fact)
    return facts


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ('{"approved": true, "by": "Grace"}', {"approved": True, "by": "Grace"}),
        ("[1, 2.5, null]", [1, 2.5, None]),
        ('"yes"', "yes"),
        ("7", 7),
        ("null", None),
        ("", None),
        (None, None),
        ('"één 🙂"', "één 🙂"),
    ],
)
def test_the_body_is_the_signals_value(api: Api, run_id: str, body: str | None, value: Any) -> None:
    answer = api.post(f"/runs/{run_id}/signals/value", body)

    (fact,) = sent(api)
    assert answer.status == 202
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.body == {"run_id": run_id, "signal_id": fact.signal_id}
    assert fact == SignalReceived(signal_id=fact.signal_id, name="value", value=value)


def test_a_signal_reaches_its_workflow(api: Api, aws: AWSSystem, run_id: str) -> None:
    for number in range(3):
        api.post(f"/runs/{run_id}/signals/value", number)

    assert finish(aws, run_id).result == [0, 1, 2]


def test_a_body_may_come_encoded(api: Api, run_id: str) -> None:
    api("POST", f"/runs/{run_id}/signals/value", {"n": 1}, encoded=True)

    assert [fact.value for fact in sent(api)] == [{"n": 1}]


@pytest.mark.parametrize("name", ["approval", "a.b:c-d_e", "x" * 100])
def test_a_signal_may_have_any_name_that_is_allowed(api: Api, run_id: str, name: str) -> None:
    assert api.post(f"/runs/{run_id}/signals/{name}", 1).status == 202


@pytest.mark.parametrize("name", ["-a", "a b", "x" * 101, "é"])
def test_other_names_are_refused(api: Api, run_id: str, name: str) -> None:
    answer = api.post(f"/runs/{run_id}/signals/{name}", 1)

    assert (answer.status, answer.fields) == (422, ["name"])
    assert sent(api) == []


NO_JSON = {
    "cut off": "{",
    "a form": "approved=true",
    "a word": "yes",
    "half a character": '"\\ud800"',
    "too deep": "[" * 300 + "]" * 300,
    "a number that Python refuses": "9" * 5_000,
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
@pytest.mark.parametrize("key", [None, "k1"], ids=["", "with a key"])
def test_a_body_that_is_no_json_is_refused(api: Api, run_id: str, body: str, key: str | None) -> None:
    answer = api.post(f"/runs/{run_id}/signals/value", body, key=key)

    assert (answer.status, answer.error["type"], answer.fields) == (400, "MalformedBodyError", ["body"])
    assert sent(api) == []


@pytest.mark.parametrize("key", [None, "k1"], ids=["", "with a key"])
@pytest.mark.parametrize("action", ["signals/value", "cancel"])
def test_nobody_cannot_be_told_anything(api: Api, action: str, key: str | None) -> None:
    answer = api.post(f"/runs/nobody/{action}", key=key)

    assert (answer.status, answer.error["type"], answer.fields) == (404, "RunNotFoundError", ["run_id"])
    assert api.stack.is_untouched()


@pytest.mark.parametrize("key", [None, "k1"], ids=["", "with a key"])
@pytest.mark.parametrize("action", ["signals/value", "cancel"])
def test_who_has_ended_cannot_be_told_anything(api: Api, ended: str, action: str, key: str | None) -> None:
    answer = api.post(f"/runs/{ended}/{action}", key=key)

    assert (answer.status, answer.error["type"], answer.fields) == (409, "RunEndedError", ["run_id"])
    assert "completed" in answer.error["message"]
    assert sent(api) == []


@pytest.mark.parametrize("key", [None, "k1"], ids=["", "with a key"])
def test_a_value_of_another_type_than_is_declared(api: Api, aws: AWSSystem, key: str | None) -> None:
    start(aws, "typed", workflows.declares_a_sum)
    answer = api.post("/runs/typed/signals/sum", '"many"', key=key)

    assert (answer.status, answer.error["type"], answer.fields) == (422, "InvalidInputError", ["value"])
    assert "the value does not fit the signal 'sum' of declares_a_sum" in answer.error["message"]
    assert sent(api) == []
    assert api.post("/runs/typed/signals/sum", 5).status == 202


# --- Idempotency-Key -----------------------------------------------------------------------------------------------


def test_the_same_signal_twice_is_one_signal_and_one_answer(api: Api, aws: AWSSystem, run_id: str) -> None:
    first, second = (api.post(f"/runs/{run_id}/signals/value", 1, key="k1") for _ in range(2))

    assert (first.status, first.body) == (second.status, second.body)
    assert len(sent(api)) == 1


def test_a_signal_that_is_repeated_long_after_is_still_one(api: Api, aws: AWSSystem, run_id: str) -> None:
    api.post(f"/runs/{run_id}/signals/value", 1, key="k1")
    aws.settle()
    # As if the record of the request had expired.
    _forget_requests(api)
    assert api.post(f"/runs/{run_id}/signals/value", 1, key="k1").status == 202
    aws.settle()

    assert [kind for kind, _ in story(aws, run_id)].count("SignalReceived") == 1


def test_a_signal_repeated_after_the_end_has_the_first_answer(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", workflows.collect, count=1)
    first = api.post("/runs/r/signals/value", 1, key="k1")
    aws.settle()

    assert aws.world.read_run("r").status == "completed"
    assert api.post("/runs/r/signals/value", 1, key="k1").body == first.body


def test_without_a_key_every_request_is_a_signal(api: Api, run_id: str) -> None:
    for _ in range(2):
        api.post(f"/runs/{run_id}/signals/value", 1)

    assert len({fact.signal_id for fact in sent(api)}) == 2


@pytest.mark.parametrize(
    "other", ["/runs/r/signals/other", "/runs/second/signals/value"], ids=["another name", "another run"]
)
def test_a_key_belongs_to_one_signal(api: Api, aws: AWSSystem, run_id: str, other: str) -> None:
    start(aws, "second", workflows.collect, count=1)
    api.post(f"/runs/{run_id}/signals/value", 1, key="k1")

    assert (api.post(other, 1, key="k1").status, api.post(f"/runs/{run_id}/signals/value", 2, key="k1").status) == (
        422,
        422,
    )
    assert len(sent(api)) == 1


def test_a_start_and_a_signal_may_share_a_key(api: Api, run_id: str) -> None:
    assert api.post("/runs", {"workflow": "hello"}, key="k1").status == 201
    assert api.post(f"/runs/{run_id}/signals/value", 1, key="k1").status == 202


def _forget_requests(api: Api) -> None:
    for item in api.stack.items("runs"):
        if item["run_id"]["S"].startswith("idempotency#"):
            table = api.stack.resources.runs_table
            api.stack.dynamodb.delete_item(TableName=table, Key={"run_id": item["run_id"]})


# --- cancel --------------------------------------------------------------------------------------------------------


def test_a_run_is_cancelled(api: Api, aws: AWSSystem, run_id: str) -> None:
    answer = api.post(f"/runs/{run_id}/cancel")

    assert (answer.status, answer.body) == (202, {"run_id": run_id})
    assert sent(api) == [CancelRequested()]
    assert finish(aws, run_id).status == "cancelled"


def test_cancelling_twice_is_fine(api: Api, aws: AWSSystem, run_id: str) -> None:
    assert [api.post(f"/runs/{run_id}/cancel").status for _ in range(2)] == [202, 202]

    assert finish(aws, run_id).status == "cancelled"
    assert [kind for kind, _ in story(aws, run_id)].count("CancelRequested") == 1
