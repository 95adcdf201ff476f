"""POST /runs with `if_running` and `reuse`: what a run of this id that exists means."""

import pytest

from tests.support import workflows
from tests.support.api import Answer, Api
from tests.support.systems import AWSSystem, finish, start


@pytest.fixture
def running(aws: AWSSystem) -> None:
    start(aws, "r", workflows.collect, count=1)


@pytest.fixture
def completed(aws: AWSSystem) -> None:
    start(aws, "r", workflows.chain, length=1)


@pytest.fixture
def failed(aws: AWSSystem) -> None:
    start(aws, "r", workflows.fails, message="no")
    finish(aws, "r")


def post(api: Api, workflow: str, input: dict[str, object], key: str | None = None, **fields: str) -> Answer:
    return api.post("/runs", {"workflow": workflow, "run_id": "r", "input": input, **fields}, key=key)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("fields", [{}, {"if_running": "return_existing"}, {"reuse": "reject"}], ids=str)
def test_one_that_runs_is_returned(api: Api, fields: dict[str, str]) -> None:
    answer = post(api, "collect", {"count": 5}, **fields)

    assert (answer.status, answer.body) == (200, {"run_id": "r", "workflow": "collect", "status": "running"})


@pytest.mark.usefixtures("running")
def test_one_that_runs_is_in_the_way(api: Api) -> None:
    answer = post(api, "collect", {"count": 5}, if_running="fail")

    assert (answer.status, answer.error["type"], answer.fields) == (409, "RunExistsError", ["run_id"])


@pytest.mark.usefixtures("running")
def test_one_that_runs_gives_way(api: Api, aws: AWSSystem) -> None:
    answer = post(api, "collect", {"count": 5}, if_running="terminate_existing")

    assert (answer.status, answer.body) == (201, {"run_id": "r~2", "workflow": "collect", "status": "pending"})
    aws.settle()
    assert [aws.world.read_run(run_id).status for run_id in ("r", "r~2")] == ["cancelled", "running"]


@pytest.mark.usefixtures("completed")
@pytest.mark.parametrize(
    ("reuse", "status", "run_id"),
    [(None, 200, "r"), ("allow", 201, "r~2"), ("failed_only", 409, ""), ("reject", 409, "")],
)
def test_one_that_has_completed(api: Api, aws: AWSSystem, reuse: str | None, status: int, run_id: str) -> None:
    answer = post(api, "chain", {"length": 2}, **({"reuse": reuse} if reuse else {}))

    assert answer.status == status
    if status == 409:
        assert (answer.error["type"], answer.fields) == ("RunExistsError", ["run_id"])
    else:
        assert answer.body["run_id"] == run_id
        assert finish(aws, run_id).result == (2 if reuse else 1)


@pytest.mark.usefixtures("failed")
def test_one_that_has_failed(api: Api, aws: AWSSystem) -> None:
    answer = post(api, "fails", {"message": "no"}, reuse="failed_only")

    assert (answer.status, answer.body["run_id"]) == (201, "r~2")


@pytest.mark.usefixtures("completed")
def test_the_same_request_twice_is_one_run(api: Api, aws: AWSSystem) -> None:
    first, second = (post(api, "chain", {"length": 2}, "k1", reuse="allow") for _ in range(2))

    assert (first.status, first.body) == (second.status, second.body)
    assert aws.world.get_run("r~3") is None


@pytest.mark.parametrize("fields", [{"if_running": "wait"}, {"reuse": "always"}], ids=str)
def test_what_there_is_not_is_refused(api: Api, fields: dict[str, str]) -> None:
    answer = post(api, "chain", {"length": 1}, **fields)

    assert (answer.status, answer.fields) == (422, [f"body.{name}" for name in fields])
    assert api.stack.is_untouched()
