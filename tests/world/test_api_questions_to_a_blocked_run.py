"""Updates and queries of a run whose code cannot run: an answer that says so, or comes later."""

import pytest

from tests.support.api import Api
from tests.support.systems import AWSSystem, signal, start
from tests.support.threads import replace_sleep
from worldflow import on_update, publish, wait_for_signal, workflow
from worldflow.engine.workflow import definitions


@pytest.fixture
def blocked(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> str:
    @workflow
    async def shop() -> int:
        publish("sold", 0)

        @on_update("add")
        def add(number: int) -> int:
            return number + 1

        await wait_for_signal("go")
        return await wait_for_signal("end", int)

    replace_sleep(monkeypatch, lambda seconds: aws.settle())
    start(aws, "r", shop)
    code = definitions._workflows._versions.pop("shop")
    aws.restart()
    signal(aws, "r", "go")
    assert aws.world.read_run("r").status == "blocked"
    definitions._workflows._versions["shop"] = code  # deployed again, and nobody has told the run yet
    return "r"


def test_a_query_of_what_is_not_published_says_why(api: Api, blocked: str) -> None:
    answer = api.get(f"/runs/{blocked}/queries/unknown")
    assert (answer.status, answer.body["error"]["type"]) == (409, "RunBlockedError")


def test_what_was_published_is_told(api: Api, blocked: str) -> None:
    assert api.get(f"/runs/{blocked}/queries/sold").body == {"result": 0}


def test_an_update_is_accepted_and_answered_later(aws: AWSSystem, api: Api, blocked: str) -> None:
    code = definitions._workflows._versions.pop("shop")
    answer = api.post(f"/runs/{blocked}/updates/add", {"args": [1]})
    assert answer.status == 202
    definitions._workflows._versions["shop"] = code
    aws.restart()
    api.post(f"/runs/{blocked}/resume")
    aws.settle()
    key = answer.body["update_id"]
    again = api.post(f"/runs/{blocked}/updates/add", {"args": [1]}, headers={"Idempotency-Key": key})
    assert (again.status, again.body["result"]) == (200, 2)
