"""While a workflow is paused, runs of it that are started wait; when it is unpaused, they begin."""

from __future__ import annotations

import pytest

from tests.support.systems import AWSSystem, System, finish, skip, start
from worldflow import Limit, Throttle, continue_as_new, step, wait_for_signal, workflow
from worldflow.runtime import sending, starting
from worldflow.runtime.limits import list_limits
from worldflow.runtime.workflow_pauses import pause_workflow, paused_workflows, unpause_workflow
from worldflow.worlds import workflow_pauses
from worldflow.worlds.outages import OutageError

calls: list[str] = []


@step(inline=True)
async def notes_in_a_paused_workflow(what: str) -> None:
    calls.append(what)


@workflow
async def pausable_workflow(name: str) -> str:
    await notes_in_a_paused_workflow(name)
    return name


@workflow
async def waits_in_a_paused_workflow(number: int = 1) -> int:
    if await wait_for_signal("go", str) == "again":
        continue_as_new(number + 1)
    return number


@workflow
async def starts_a_pausable_child() -> str:
    return await pausable_workflow("child")


@workflow(limit=Limit("paused-one", concurrency=1))
async def limited_and_paused() -> str:
    return await wait_for_signal("go", str)


@workflow(throttle=Throttle("1/1m"))
async def throttled_and_paused() -> None: ...


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


def status(system: System, run_id: str) -> str:
    return system.world.read_run(run_id).status


def unpause(system: System, name: str = "pausable_workflow") -> list[str]:
    told = list(unpause_workflow(system.world, name))
    system.settle()
    return told


def test_new_runs_wait_as_paused_and_begin_in_order_when_it_is_unpaused(system: System) -> None:
    pause_workflow(system.world, pausable_workflow, "an incident", by="Grace")
    for run_id in ("b", "a", "c"):
        start(system, run_id, pausable_workflow, name=run_id)
    start(system, "other", starts_a_pausable_child)

    assert calls == []
    paused = system.world.read_run("a").paused
    assert paused and (paused.reason, paused.by, paused.of_workflow) == ("an incident", "Grace", True)
    (pause,) = paused_workflows(system.world)
    assert (pause.workflow, pause.reason, pause.by, pause.ending) == (
        "pausable_workflow",
        "an incident",
        "Grace",
        False,
    )

    told = unpause(system)

    assert told[:3] == ["b", "a", "c"] and len(told) == 4, "the child, too"
    assert sorted(calls) == ["a", "b", "c", "child"]
    assert finish(system, "other").result == "child"
    assert paused_workflows(system.world) == []
    start(system, "d", pausable_workflow, name="d")
    assert status(system, "d") == "completed"
    system.restart()
    start(system, "b", pausable_workflow, name="b")
    assert calls.count("b") == 1


def test_open_runs_continue_as_further_generations_too(system: System) -> None:
    start(system, "r", waits_in_a_paused_workflow)
    pause_workflow(system.world, waits_in_a_paused_workflow)
    sending.signal(system.world, "r", "go", "again")
    system.settle()
    sending.signal(system.world, "r", "go", "on")
    system.settle()
    assert system.world.read_run("r~2").result == 2


def test_open_runs_are_paused_with_it_and_unpaused_with_it_unless_they_were_before(system: System) -> None:
    for run_id in ("one", "two"):
        start(system, run_id, waits_in_a_paused_workflow)
    sending.pause(system.world, "two")
    system.settle()
    starting.start(system.world, "later", waits_in_a_paused_workflow, delay="1h")
    for _ in range(2):
        pause_workflow(system.world, waits_in_a_paused_workflow, open_runs=True)
        system.settle()
    assert [status(system, run_id) for run_id in ("one", "two", "later")] == ["paused"] * 3

    assert unpause(system, "waits_in_a_paused_workflow") == ["one", "later"]

    assert [status(system, run_id) for run_id in ("one", "two")] == ["running", "paused"]
    sending.signal(system.world, "later", "go", "on")
    assert finish(system, "later").status == "completed"


def test_one_run_is_let_through(system: System) -> None:
    pause_workflow(system.world, pausable_workflow)
    for run_id in ("one", "two"):
        start(system, run_id, pausable_workflow, name=run_id)
    sending.unpause(system.world, "one")
    system.settle()
    assert calls == ["one"] and status(system, "two") == "paused"


def test_unpausing_that_was_interrupted_goes_on_with_those_that_are_left(system: System) -> None:
    pause_workflow(system.world, pausable_workflow)
    for run_id in ("one", "two", "three"):
        start(system, run_id, pausable_workflow, name=run_id)
    told = unpause_workflow(system.world, "pausable_workflow")
    assert next(told) == "one"
    system.settle()
    assert [pause.ending for pause in paused_workflows(system.world)] == [True]
    start(system, "four", pausable_workflow, name="four")
    assert calls == ["one", "four"]

    assert unpause(system) == ["two", "three"]
    assert calls[2:] == ["two", "three"] and paused_workflows(system.world) == []
    assert unpause(system) == []


def test_unpausing_stops_when_it_is_paused_again(system: System) -> None:
    pause_workflow(system.world, pausable_workflow, "first")
    for run_id in ("one", "two"):
        start(system, run_id, pausable_workflow, name=run_id)
    told = unpause_workflow(system.world, "pausable_workflow")
    assert next(told) == "one"
    assert pause_workflow(system.world, pausable_workflow, "second").reason == "second"
    assert list(told) == []
    system.settle()
    assert status(system, "two") == "paused" and len(paused_workflows(system.world)) == 1
    assert unpause(system) == ["two"]


def test_a_run_that_is_missed_finds_out_by_itself(system: System) -> None:
    """The list that the unpausing process reads does not show it yet."""
    pause_workflow(system.world, pausable_workflow)
    start(system, "r", pausable_workflow, name="r")
    workflow_pauses.begin_to_end(system.world, "pausable_workflow")
    workflow_pauses.end(system.world, "pausable_workflow")
    assert status(system, "r") == "paused"
    while skip(system):
        pass
    assert status(system, "r") == "completed"


def test_a_run_that_waits_looks_once(system: System) -> None:
    pause_workflow(system.world, pausable_workflow)
    start(system, "r", pausable_workflow, name="r")
    assert skip(system)
    assert not skip(system) and status(system, "r") == "paused"


def test_forks_retries_and_delayed_runs_wait_when_they_begin(system: System) -> None:
    start(system, "r", waits_in_a_paused_workflow)
    pause_workflow(system.world, waits_in_a_paused_workflow)
    starting.fork(system.world, "r", "fork", after=1)
    starting.start(system.world, "later", waits_in_a_paused_workflow, delay="1h")
    system.settle()
    assert [status(system, run_id) for run_id in ("fork", "later")] == ["paused", "pending"]
    while skip(system):
        pass
    assert status(system, "later") == "paused"
    assert unpause(system, "waits_in_a_paused_workflow") == ["fork", "later"]
    sending.signal(system.world, "fork", "go", "on")
    assert finish(system, "fork").status == "completed"


def test_a_fork_of_a_run_that_waits_waits_as_that_does(system: System) -> None:
    pause_workflow(system.world, pausable_workflow)
    start(system, "r", pausable_workflow, name="r")
    starting.fork(system.world, "r", "fork", after=2)
    system.settle()
    assert status(system, "fork") == "paused"
    assert unpause(system) == ["r", "fork"]
    assert [status(system, run_id) for run_id in ("r", "fork")] == ["completed", "completed"]


def test_a_run_that_waits_has_no_place_at_a_limit(system: System) -> None:
    pause_workflow(system.world, limited_and_paused)
    start(system, "waits", limited_and_paused)
    sending.signal(system.world, "waits", "go", "now")
    system.settle()
    assert list_limits(system.world) == []
    list(unpause_workflow(system.world, "limited_and_paused"))
    start(system, "other", limited_and_paused)
    assert [status(system, run_id) for run_id in ("waits", "other")] == ["completed", "running"]


def test_a_throttled_run_waits_with_its_place(system: System) -> None:
    start(system, "one", throttled_and_paused)
    pause_workflow(system.world, throttled_and_paused)
    start(system, "two", throttled_and_paused)
    assert status(system, "two") == "pending"
    assert skip(system)
    assert status(system, "two") == "paused"
    unpause(system, "throttled_and_paused")
    assert finish(system, "two").status == "completed"


def test_a_run_does_not_begin_while_dynamodb_leaves_out_what_it_asks_for(
    aws: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause_workflow(aws.world, pausable_workflow)
    with monkeypatch.context() as patch:
        patch.setattr(aws.world.access.dynamodb, "batch_get_item", lambda **_: {"UnprocessedKeys": {"runs": {}}})
        with pytest.raises(OutageError, match="throttling"):
            aws.world.get_run_and_item("r", workflow_pauses.pauses_key("r"))
    assert aws.world.get_run_and_item("r", workflow_pauses.pauses_key("r"))[1], "read again"
