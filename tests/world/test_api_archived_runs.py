"""The API shows a run that is archived, and says by name what it does not take any more."""

from tests.support import workflows
from tests.support.api import Api
from tests.support.archiving import archive
from tests.support.systems import AWSSystem, finish, start


def test_an_archived_run_over_the_api(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", workflows.fails, message="broken")
    assert finish(aws, "r").status == "failed"
    before = api.get("/runs/r").body
    events = api.get("/runs/r/events").body
    archive(aws)

    shown = api.get("/runs/r").body
    assert shown.pop("archived_at")
    assert shown == before
    assert api.get("/runs/r/events").body == events
    assert api.get("/runs").body["runs"] == []

    retry = api.post("/runs/r/retry")
    assert (retry.status, retry.error["type"], retry.fields) == (409, "RunArchivedError", ["run_id"])
    signal = api.post("/runs/r/signals/go")
    assert (signal.status, signal.error["type"]) == (409, "RunEndedError")
    assert api.post("/runs/r/fork", {"run_id": "again", "after": 1}).status == 201
    assert api.get("/runs/nobody").status == 404

    again = api.post("/runs", {"workflow": "fails", "run_id": "r", "input": {"message": "broken"}})
    assert again.status == 201
