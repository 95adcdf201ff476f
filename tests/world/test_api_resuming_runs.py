"""POST /runs/{run_id}/resume: a turn for a run that was blocked, when its code is mended."""

import pytest

from tests.support import workflows
from tests.support.api import Api
from tests.support.systems import AWSSystem, finish, start
from worldflow.engine.workflow import definitions


def test_a_blocked_run_goes_on(api: Api, aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    start(aws, "r", workflows.collect, count=1)
    aws.restart()
    with monkeypatch.context() as patch:
        patch.delitem(definitions._workflows._versions, "collect")
        api.post("/runs/r/signals/value", 7)
        aws.settle()
        assert aws.world.read_run("r").status == "blocked"

    answer = api.post("/runs/r/resume")

    assert (answer.status, answer.body) == (202, {"run_id": "r"})
    assert finish(aws, "r").result == [7]


def test_a_run_that_is_not_blocked_does_not_mind(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", workflows.collect, count=1)
    seq = aws.world.load_history("r")[-1].seq

    assert api.post("/runs/r/resume").status == 202
    aws.settle()

    assert aws.world.load_history("r", seq) == []
