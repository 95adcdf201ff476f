"""POST /runs/{run_id}/retry: a failed run goes on from what it failed of, as the next generation of its id."""

import pytest

from tests.support import workflows
from tests.support.api import Api
from tests.support.systems import AWSSystem, finish, start
from worldflow import FatalError, step, workflow


class Bank:
    is_open = False
    asked = 0


@pytest.fixture
def bank(aws: AWSSystem) -> Bank:
    """A run `r` has failed, since the bank was closed."""
    bank = Bank()

    @step
    async def reserve() -> str:
        bank.asked += 1
        return "reserved"

    @step
    async def pay() -> str:
        if not bank.is_open:
            raise FatalError("the bank is closed")
        return "paid"

    @workflow
    async def buy() -> list[str]:
        return [await reserve(), await pay()]

    start(aws, "r", buy)
    assert finish(aws, "r").status == "failed"
    return bank


def test_a_failed_run_goes_on(api: Api, aws: AWSSystem, bank: Bank) -> None:
    bank.is_open = True
    answer = api.post("/runs/r/retry")

    assert (answer.status, answer.body) == (201, {"run_id": "r~2", "workflow": "buy"})
    assert finish(aws, "r~2").result == ["reserved", "paid"]
    assert bank.asked == 1, "what had succeeded is not done again"


def test_only_a_failed_run_is_retried(api: Api, aws: AWSSystem) -> None:
    start(aws, "waits", workflows.collect, count=1)
    answer = api.post("/runs/waits/retry")
    assert (answer.status, answer.fields) == (422, ["run_id"])
    assert "running" in answer.error["message"]

    missing = api.post("/runs/nobody/retry")
    assert (missing.status, missing.fields) == (404, ["run_id"])


def test_a_retry_that_is_repeated_is_one_retry(api: Api, aws: AWSSystem, bank: Bank) -> None:
    first = api.post("/runs/r/retry", key="k1")
    assert finish(aws, "r~2").status == "failed"
    second = api.post("/runs/r/retry", key="k1")

    assert (first.status, first.body) == (second.status, second.body)
    assert aws.world.get_run("r~3") is None
    assert api.post("/runs/r/retry", key="k2").body["run_id"] == "r~3"


@step
async def api_pays(card: str) -> str:
    if card != "good":
        raise FatalError("the card is refused")
    return "paid"


@workflow
async def api_buys(card: str, sku: str) -> list[str]:
    return [sku, await api_pays(card)]


def test_another_input_starts_it_from_its_beginning(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", api_buys, card="bad", sku="A")
    assert finish(aws, "r").status == "failed"
    refused = api.post("/runs/r/retry", {"input": {"card": 1}})
    assert (refused.status, refused.fields) == (422, ["edit.1.card"])

    answers = [api.post("/runs/r/retry", {"input": {"card": "good"}}) for _ in range(2)]

    assert [(answer.status, answer.body["run_id"]) for answer in answers] == [(201, "r~2")] * 2
    record = finish(aws, "r~2")
    assert (record.result, record.input) == (["A", "paid"], {"card": "good", "sku": "A"})
