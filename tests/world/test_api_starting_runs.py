"""POST /runs."""

import json
from typing import Any

import pytest

from tests.support import workflows
from tests.support.api import Api
from tests.support.lambdas import function
from tests.support.systems import AWSSystem, finish
from tests.support.systems import start as start_on
from worldflow import workflow
from worldflow.worlds.messages import Start, load_message

LINE = {"sku": "BEANS-1KG", "quantity": 2, "unit_price": "19.50"}
ORDER = {"order_id": "1001", "customer": "Ada", "card": "4242", "lines": [LINE]}


def start(**fields: Any) -> dict[str, Any]:
    return {"workflow": "fulfil_order", "input": {"order": ORDER}, **fields}


def test_a_run_is_created_and_starts(api: Api, aws: AWSSystem) -> None:
    answer = api.post("/runs", start(run_id="order-1001"))

    assert answer.status == 201
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.body == {"run_id": "order-1001", "workflow": "fulfil_order", "status": "pending"}
    (message,) = api.stack.messages("runs")
    assert load_message(message.body) == Start(run_id="order-1001")
    assert finish(aws, "order-1001").result == {"order_id": "1001", "tracking": "PARCEL-1001", "charged": "39.00"}


def test_the_run_has_its_input_as_it_was_given(api: Api) -> None:
    api.post("/runs", start(run_id="order-1001"))

    assert api.world.read_run("order-1001").input == {"order": ORDER}


def test_an_unknown_workflow_starts_where_one_is_dynamic(api: Api, aws: AWSSystem) -> None:
    @workflow(dynamic=True)
    async def anything(arguments: dict[str, int]) -> int:
        return arguments["number"]

    answer = api.post("/runs", {"workflow": "teleport", "input": {"number": 3}})
    assert answer.status == 201
    assert finish(aws, answer.body["run_id"]).result == 3
    refused = api.post("/runs", {"workflow": "teleport", "input": {"number": "x"}})
    assert (refused.status, refused.fields) == (422, ["input.number"])


def test_it_carries_headers(api: Api) -> None:
    answer = api.post("/runs", {"workflow": "hello", "run_id": "r", "headers": {"tenant": "acme"}}, key="k1")
    assert (answer.status, api.world.read_run("r").headers) == (201, {"tenant": "acme"})
    refused = api.post("/runs", {"workflow": "hello", "headers": {"tenant": "x" * 3_000}})
    assert (refused.status, refused.fields) == (422, ["headers"])


def test_without_an_id_it_gets_one(api: Api) -> None:
    first, second = (api.post("/runs", start()).body["run_id"] for _ in range(2))

    assert first != second
    assert api.world.get_run(first) and api.world.get_run(second)


def test_input_with_defaults_may_be_left_out(api: Api, aws: AWSSystem) -> None:
    answer = api.post("/runs", {"workflow": "hello"})

    assert answer.status == 201
    assert finish(aws, answer.body["run_id"]).result == ["Hello, World!", "Hello, World, again!"]


def test_a_run_starts_later(api: Api, aws: AWSSystem) -> None:
    api.post("/runs", start(run_id="order-1001", delay="1h"), key="k1")
    api.post("/runs", start(run_id="order-1002", start_at="2099-01-01T08:00:00+01:00"))
    aws.settle()

    found = api.get("/runs/order-1001").body
    assert found["status"] == "pending" and found["start_at"] > found["created_at"]
    assert api.get("/runs/order-1002").body["start_at"] == "2099-01-01T07:00:00Z"
    assert finish(aws, "order-1001").status == "completed"


def test_a_run_that_exists_is_the_answer(api: Api) -> None:
    api.post("/runs", start(run_id="order-1001"))
    other = {**ORDER, "customer": "Grace"}
    answer = api.post("/runs", start(run_id="order-1001", input={"order": other}))

    assert answer.status == 200
    assert answer.body == {"run_id": "order-1001", "workflow": "fulfil_order", "status": "running"}
    assert api.world.read_run("order-1001").input == {"order": ORDER}


def test_a_run_that_has_ended_is_the_answer_and_does_not_start_again(api: Api, aws: AWSSystem) -> None:
    start_on(aws, "r", workflows.chain, length=1)
    answer = api.post("/runs", {"workflow": "chain", "input": {"length": 1}, "run_id": "r"})

    assert (answer.status, answer.body["status"]) == (200, "completed")
    assert api.stack.messages("runs") == []


def test_a_body_may_come_encoded(api: Api) -> None:
    assert api("POST", "/runs", start(run_id="r"), encoded=True).status == 201


@pytest.mark.parametrize(
    "type", ["application/json; charset=utf-8", "application/x-www-form-urlencoded", "text/plain"], ids=str
)
def test_a_body_of_another_type_is_read_or_refused_and_never_an_error_of_ours(api: Api, type: str) -> None:
    answer = api.post("/runs", start(run_id="r"), headers={"Content-Type": type})

    assert answer.status == 201 or (400 <= answer.status < 500 and answer.error)


def test_a_large_input_goes_to_the_bucket(api: Api) -> None:
    answer = api.post("/runs", {"workflow": "hello", "input": {"name": "x" * 100_000}, "run_id": "r"})

    assert answer.status == 201
    assert len(api.stack.objects()) == 1
    assert api.world.read_run("r").input == {"name": "x" * 100_000}


# --- what is refused -----------------------------------------------------------------------------------------------

BAD_LINE = {**LINE, "quantity": 0}

REFUSED: dict[str, tuple[Any, int, str]] = {
    "an unknown workflow": (start(workflow="teleport"), 422, "workflow"),
    "a field of the input": (
        start(input={"order": {**ORDER, "lines": [BAD_LINE]}}),
        422,
        "input.order.lines.0.quantity",
    ),
    "a missing field": (start(input={"order": {**ORDER, "lines": [{}]}}), 422, "input.order.lines.0.sku"),
    "a missing parameter": (start(input={}), 422, "input.order"),
    "an unknown parameter": (start(input={"order": ORDER, "gift": True}), 422, "input.gift"),
    "input that is no object": (start(input=[1]), 422, "input"),
    "input that is null": (start(input=None), 422, "input"),
    "no workflow": ({"input": {}}, 422, "workflow"),
    "a workflow that is no name": (start(workflow=7), 422, "workflow"),
    "an unknown field": (start(priority="high"), 422, "priority"),
    "a run id with a space": (start(run_id="order 1001"), 422, "run_id"),
    "an empty run id": (start(run_id=""), 422, "run_id"),
    "a long run id": (start(run_id="x" * 101), 422, "run_id"),
    "a run id that is a number": (start(run_id=1001), 422, "run_id"),
    "a delay that is none": (start(delay="soon"), 422, "delay"),
    "a time without its zone": (start(start_at="2027-01-01T08:00:00"), 422, "start_at"),
    "a delay and a time": (start(delay=1, start_at="2027-01-01T08:00:00Z"), 422, "start_at"),
    "a delay and a signal": (start(delay=1, signal={"name": "word"}), 422, "signal"),
    "a list": ([], 422, "body"),
    "text": ('"hello"', 422, "body"),
    "null": ("null", 422, "body"),
    "nothing": (None, 422, "body"),
    "an empty body": ("", 422, "body"),
    "half a body": ('{"workflow": "hello", ', 400, "body"),
    "no JSON": ("workflow=hello", 400, "body"),
}


@pytest.mark.parametrize("key", [None, "k1"], ids=["", "with a key"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_request_says_what_is_wrong_and_changes_nothing(api: Api, name: str, key: str | None) -> None:
    body, status, field = REFUSED[name]
    answer = api.post("/runs", body, key=key, encoded=key is not None)

    kinds = {400: "MalformedBodyError", 422: "InvalidInputError"}
    kind = "WorkflowNotFoundError" if name == "an unknown workflow" else kinds[status]
    assert (answer.status, answer.error["type"]) == (status, kind)
    assert field in [found.removeprefix("body.") for found in answer.fields]
    assert answer.error["message"] and "\n" not in answer.error["message"]
    assert api.stack.is_untouched()


def test_every_fault_is_named_at_once(api: Api) -> None:
    lines = [{"sku": "A", "quantity": -1, "unit_price": "x"}, {"sku": "B", "quantity": 1, "unit_price": 0}]
    answer = api.post("/runs", start(input={"order": {**ORDER, "lines": lines}, "gift": 1}))

    assert set(answer.fields) == {
        "input.gift",
        "input.order.lines.0.quantity",
        "input.order.lines.0.unit_price",
        "input.order.lines.1.unit_price",
    }


def test_an_error_does_not_repeat_what_was_sent(api: Api) -> None:
    answer = api.post("/runs", start(input={"order": {**ORDER, "lines": "4242-4242-4242-4242"}}))

    assert "4242-4242" not in answer.text


def test_the_id_of_another_workflows_run_is_taken(api: Api, aws: AWSSystem) -> None:
    api.post("/runs", {"workflow": "hello", "run_id": "r"})
    api.stack.purge("runs")
    answer = api.post("/runs", start(run_id="r"))

    assert (answer.status, answer.error["type"], answer.fields) == (409, "RunExistsError", ["run_id"])
    assert api.stack.messages("runs") == []
    assert api.world.read_run("r").workflow_name == "hello"


# --- Idempotency-Key -----------------------------------------------------------------------------------------------


def test_the_same_request_twice_is_one_run_and_one_answer(api: Api, aws: AWSSystem) -> None:
    first = api.post("/runs", start(), key="k1")
    api.stack.purge("runs")
    second = api.post("/runs", start(), key="k1")

    assert (first.status, first.body) == (second.status, second.body)
    assert first.status == 201
    assert [record.run_id for record in api.world.list_runs().runs] == [first.body["run_id"]]
    assert api.stack.messages("runs") == []


def test_the_order_of_the_fields_does_not_matter(api: Api) -> None:
    first = api.post("/runs", start(), key="k1")
    second = api.post("/runs", json.dumps(dict(reversed(start().items())), indent=3), key="k1")

    assert first.body == second.body


def test_other_keys_are_other_runs(api: Api) -> None:
    answers = [api.post("/runs", start(), key=key).body["run_id"] for key in ("k1", "k2")]

    assert len(set(answers)) == 2


def test_a_key_belongs_to_one_request(api: Api) -> None:
    api.post("/runs", start(), key="k1")
    api.stack.purge("runs")
    answer = api.post("/runs", {"workflow": "hello"}, key="k1")

    assert (answer.status, answer.fields) == (422, ["Idempotency-Key"])
    assert len(api.world.list_runs().runs) == 1
    assert api.stack.messages("runs") == []


def test_a_request_that_failed_may_be_mended_under_its_key(api: Api) -> None:
    assert api.post("/runs", start(workflow="teleport"), key="k1").status == 422

    assert api.post("/runs", start(), key="k1").status == 201


def test_a_request_that_died_half_way_gives_the_same_run_when_it_is_repeated(
    api: Api, aws: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise ConnectionError("SQS is away")

    with monkeypatch.context() as patch:
        patch.setattr(function("signal").function.world, "send", die)
        with pytest.raises(Exception, match="message not logged") as died:
            api.post("/runs", start(), key="k1")
        assert type(died.value).__name__ == "ConnectionError"

    answer = api.post("/runs", start(), key="k1")
    assert [record.run_id for record in api.world.list_runs().runs] == [answer.body["run_id"]]
    assert finish(aws, answer.body["run_id"]).status == "completed"


def test_the_keys_of_requests_are_no_runs(api: Api) -> None:
    api.post("/runs", start(run_id="r"), key="k1")

    keys = {item["run_id"]["S"].partition("#")[0]: item for item in api.stack.items("runs")}
    assert set(keys) == {"r", "idempotency"}
    assert int(keys["idempotency"]["expires_at"]["N"]) > 1_700_000_000
    assert [record.run_id for record in api.world.list_runs().runs] == ["r"]
