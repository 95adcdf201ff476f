"""Pausing workflows over the API."""

from __future__ import annotations

import pytest

from tests.support.api import Api
from tests.support.systems import AWSSystem, start
from worldflow import wait_for_signal, workflow


@workflow
async def paused_over_the_api() -> None:
    await wait_for_signal("go")


def test_pausing_and_unpausing(api: Api, aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"reason": "an incident"}
    paused = api("POST", "/workflows/paused_over_the_api/pause", asked)
    assert paused.status == 200
    assert {**paused.body, "at": "", "by": ""} == {
        "by": "",
        "workflow": "paused_over_the_api",
        "at": "",
        "ending": False,
        **asked,
    }
    for run_id in ("one", "two"):
        start(aws, run_id, paused_over_the_api)
    assert api.get("/runs/two").body["paused"]["reason"] == "an incident"
    assert api.get("/workflows/paused").body == {"workflows": [paused.body]}

    monkeypatch.setattr("worldflow.serving.api.workflows.UNPAUSE_SECONDS", -1)
    for number, complete in ((1, False), (1, False), (0, True)):
        answer = api("POST", "/workflows/paused_over_the_api/unpause")
        assert answer.body == {"workflow": "paused_over_the_api", "unpaused": number, "complete": complete}
        aws.settle()
    assert api.get("/runs/two").body["status"] == "running"
    assert api.get("/workflows/paused").body == {"workflows": []}


def test_what_does_not_fit_is_refused(api: Api) -> None:
    assert api("POST", "/workflows/w/pause", {"why": "x"}).status == 422
    assert api("POST", "/workflows/no name/pause", {}).fields == ["workflow"]
