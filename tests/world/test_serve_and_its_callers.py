"""`python -m worldflow serve`: who may call, several callers at once, what is kept for them, and what it measures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.asgi import AsgiApi
from tests.support.systems import LocalSystem, local_system
from worldflow import on_update, step, wait_for_signal, workflow
from worldflow.worlds.local.gauges import QueueGauges

pytest.importorskip("starlette")

TOKEN = "a-token-of-more-than-20-characters"


@step(name="callers_step")
async def work() -> None: ...


@workflow(name="callers_wait")
async def waits() -> Any:
    @on_update("add")
    async def add(number: int) -> int:
        return number + 1

    await work()
    return await wait_for_signal("go")


@pytest.fixture
def local() -> Iterator[LocalSystem]:
    with local_system(":memory:") as local:
        yield local


@pytest.fixture
def api(local: LocalSystem) -> AsgiApi:
    return served(local)


def served(local: LocalSystem, token: str | None = None, **headers: str) -> AsgiApi:
    from worldflow.serving.http.application import create_application

    return AsgiApi(create_application(local.world, token), headers)


@pytest.mark.parametrize("path", ["/runs", "/runs/r1", "/metrics", "/nothing", "/webhooks/", "/webhooks/a/b"])
@pytest.mark.parametrize("given", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe9"])
def test_requests_without_the_token_are_refused(local: LocalSystem, path: str, given: str | None) -> None:
    answer = served(local, TOKEN, **({"Authorization": given} if given else {})).get(path)
    assert (answer.status, answer.body) == (401, {"message": "Unauthorized"})


def test_with_the_token_any_host_may_call(local: LocalSystem) -> None:
    api = served(local, TOKEN, Authorization=f"Bearer {TOKEN}", Host="runs.example", Origin="https://shop.example")
    assert api.get("/runs").status == api.get("/metrics").status == 200


def test_a_webhook_needs_no_token_but_its_own(local: LocalSystem) -> None:
    assert served(local, TOKEN).post("/webhooks/forged").status == 404


OTHERS = ["evil.example", "{.evil.example", "[evil.example", "evil.example:99999", "127.0.0.1.evil.example", ""]


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, *({"Host": host} for host in OTHERS)])
def test_without_a_token_no_page_of_a_browser_may_call(local: LocalSystem, headers: dict[str, str]) -> None:
    answer = served(local, **headers).post("/runs", {"workflow": "callers_wait", "run_id": "r1"})
    assert (answer.status, answer.body) == (403, {"message": "Forbidden"})
    assert local.world.get_run("r1") is None


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.2:8000", "[::1]:8000"])
def test_without_a_token_this_machine_may_call(local: LocalSystem, host: str) -> None:
    assert served(local, Host=host).get("/runs").status == 200


def test_a_caller_that_leaves_is_no_error(local: LocalSystem, api: AsgiApi, caplog: pytest.LogCaptureFixture) -> None:
    api.post("/runs/r1/signals/go", None, leaves=True)
    assert caplog.messages == []


def test_a_request_has_the_limit_of_the_stack(api: AsgiApi) -> None:
    answer = api.post("/runs/r1/signals/go", b" " * (6 * 1024 * 1024 + 1))
    assert (answer.status, answer.error["type"]) == (413, "RequestTooLargeError")


def test_requests_at_once_are_kept_apart(local: LocalSystem, api: AsgiApi, monkeypatch: pytest.MonkeyPatch) -> None:
    from worldflow.serving.http import application

    waits, may_end = threading.Event(), threading.Event()

    def wait(_: float) -> None:
        waits.set()
        assert may_end.wait(20)
        local.settle()

    updates = application.Application.__init__.__globals__["update_routes"].__globals__
    monkeypatch.setitem(updates, "time", SimpleNamespace(sleep=wait))
    api.post("/runs", {"workflow": "callers_wait", "run_id": "r1"})
    local.settle()
    with ThreadPoolExecutor() as threads:
        update = threads.submit(api.post, "/runs/r1/updates/add", {"args": [1]}, key="u1")
        assert waits.wait(20)
        others = [threads.submit(api.get, f"/runs/r{number}") for number in (1, 2, 3)]
        assert [other.result().status for other in others] == [200, 404, 404]
        may_end.set()
        assert update.result().body == {"update_id": "u1", "result": 2}


def test_an_error_is_not_told_to_the_caller(
    local: LocalSystem, api: AsgiApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local.world, "list_runs", lambda **_: 1 / 0)
    answer = api.get("/runs")
    assert (answer.status, answer.body) == (500, {"message": "Internal Server Error"})
    assert caplog.messages == ["a request could not be answered"]


def test_an_answer_is_kept_for_a_day(local: LocalSystem, api: AsgiApi) -> None:
    start = {"workflow": "callers_wait"}
    first, again = (api.post("/runs", start, key="k1").body["run_id"] for _ in range(2))
    assert first == again
    kept = local.world.list_items("answer#", 10, "")
    assert len(kept) == 1
    expired = datetime.fromtimestamp(kept[0]["expires_at"], UTC)  # by Powertools' clock, which is the machine's
    local.clock.forward(max(expired, local.clock.now()) + timedelta(hours=1))
    api.post("/runs", start, key="k2")
    (left,) = local.world.list_items("answer#", 10, "")
    assert left["id"] != kept[0]["id"]


def test_what_it_measures(local: LocalSystem, api: AsgiApi) -> None:
    api.post("/runs", {"workflow": "callers_wait", "run_id": "r1"})
    local.settle()
    api.post("/runs", {"workflow": "callers_wait", "run_id": "r2"})
    local.clock.forward(local.clock.now() + timedelta(seconds=90))
    gauges = local.world.measure()
    assert gauges.runs == {"running": 2}
    assert (gauges.queues["runs"].waiting, gauges.queues["steps"]) == (1, QueueGauges())
    assert gauges.queues["runs"].oldest == pytest.approx(90, abs=1)
    lines = api.get("/metrics").text.splitlines()
    assert 'worldflow_runs{status="running"} 2' in lines
    assert 'worldflow_queue_messages{queue="runs"} 1' in lines
    assert "worldflow_served 1" in lines
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert names == sorted(set(names), key=names.index)
    local.settle()
    assert local.world.measure().queues["runs"] == QueueGauges()


def test_the_age_of_a_step_counts_while_it_runs(local: LocalSystem, api: AsgiApi) -> None:
    api.post("/runs", {"workflow": "callers_wait", "run_id": "r1"})
    local._worker._turns.take(1)
    assert local.receive("steps")
    local.clock.forward(local.clock.now() + timedelta(minutes=5))
    gauges = local.world.measure()
    assert (gauges.queues["steps"].waiting, gauges.queues["steps"].in_flight) == (0, 1)
    assert gauges.oldest_step == pytest.approx(300, abs=1)
