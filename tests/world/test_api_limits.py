"""Limits over the API."""

from tests.support.api import Api
from tests.support.systems import AWSSystem, start
from worldflow import Limit, step, workflow


@step(limit=Limit("pier", concurrency=1, rate="600/1m"))
async def land_at_the_pier() -> None: ...


@workflow
async def land_one_at_the_pier() -> None:
    await land_at_the_pier()


def test_seeing_and_changing_one(api: Api, aws: AWSSystem) -> None:
    start(aws, "pier-1", land_one_at_the_pier)

    assert api("PATCH", "/limits/pier", {"concurrency": 0, "rate": "5/10s"}).status == 200
    start(aws, "pier-2", land_one_at_the_pier)

    (found,) = api.get("/limits").body["limits"]
    (waiting,) = found.pop("waiting")
    assert (waiting["run_id"], waiting["step_id"], waiting["attempt"]) == ("pier-2", "s1", 1)
    assert found == {
        "name": "pier",
        "key": "",
        "concurrency": 0,
        "rate": "5/10s",
        "burst": 1,
        "changed": True,
        "holders": [],
    }
    assert api("PATCH", "/limits/pier", {"reset": True}).body["limits"][0]["concurrency"] == 1


def test_what_does_not_fit_is_refused(api: Api) -> None:
    assert api.get("/limits/quay").status == 404
    assert api("PATCH", "/limits/quay", {"concurrency": -1}).fields == ["concurrency"]
    assert api("PATCH", "/limits/quay", {"size": 1}).status == 422
