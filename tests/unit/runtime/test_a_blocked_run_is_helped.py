"""A run whose code cannot run can still be ended, and goes on as soon as there is code that can."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.crashes import CrashingWorld, serve
from tests.support.steps import work
from worldflow import RunBlockedError, RunEndedError, on_update, wait_for_signal, workflow
from worldflow.engine.history import Applied, RunCancelled, RunStarted
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import sending, starting, updates
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import Start

pytestmark = pytest.mark.usefixtures("quiet")


async def mended() -> list[Any]:
    got: list[Any] = []
    on_update("add")(got.append)
    got.append(await wait_for_signal("go"))
    return got


async def broken() -> list[Any]:
    return [await work()]


@workflow
async def concerned() -> str:
    try:
        await patient_shop()
    except Exception as error:
        return type(error).__name__
    return ""


async def _patient_shop() -> list[Any]:
    return await mended()


patient_shop = Workflow(_patient_shop, "patient_shop")


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    yield
    definitions._workflows._versions.pop("patient_shop", None)


def deploy(function: Any, *, versions: tuple[int, ...] = (1,), timeout: str | None = None) -> None:
    definitions._workflows._versions["patient_shop"] = {
        version: Workflow(function, "patient_shop", version=version, timeout=timeout) for version in versions
    }


def blocked(world: CrashingWorld) -> None:
    """A run that was begun by code that is gone, and has heard something since."""
    deploy(mended)
    starting.start(world, "run-1", "patient_shop")
    serve(world)
    deploy(broken)
    sending.signal(world, "run-1", "other")
    serve_anew(world)
    assert status(world) == "blocked"


def serve_anew(world: CrashingWorld) -> None:
    serve(world, live_limit=0)


def status(world: CrashingWorld, run_id: str = "run-1") -> str:
    return world.read_run(run_id).status


def test_it_is_terminated_without_its_code(world: CrashingWorld):
    blocked(world)
    sending.terminate(world, "run-1", "give up")
    serve_anew(world)
    record = world.read_run("run-1")
    assert (record.status, record.reason, record.blocked_reason) == ("cancelled", "give up", None)
    last = world.load_history("run-1")[-1]
    assert isinstance(last, RunCancelled)
    assert last.forced
    with pytest.raises(RunEndedError):
        sending.terminate(world, "run-1")


def test_one_that_never_began_is_terminated_too(world: CrashingWorld):
    starting.start(world, "run-1", "patient_shop")
    sending.terminate(world, "run-1")
    serve_anew(world)
    assert status(world) == "cancelled"
    assert isinstance(world.load_history("run-1")[0], RunStarted)


def test_it_goes_on_when_it_is_asked_to(world: CrashingWorld):
    blocked(world)
    sending.resume(world, "run-1")
    serve_anew(world)
    assert status(world) == "blocked"
    deploy(mended)
    sending.resume(world, "run-1")
    serve_anew(world)
    assert status(world) == "running"
    sending.signal(world, "run-1", "go", 1)
    serve_anew(world)
    assert world.read_run("run-1").result == [1]


def test_updates_and_signals_wait_for_the_code(world: CrashingWorld):
    blocked(world)
    update = updates.send_update(world, "run-1", "add", (5,))
    sending.signal(world, "run-1", "go", 6)
    serve_anew(world)
    with pytest.raises(RunBlockedError, match="the update waits"):
        updates.look_for_answer(world, update)
    deploy(mended)
    sending.resume(world, "run-1")
    serve_anew(world)
    assert updates.look_for_answer(world, update) is not None
    assert world.read_run("run-1").result == [5, 6]


def test_one_that_was_blocked_at_its_start_begins_as_the_newest_version(world: CrashingWorld):
    starting.start(world, "run-1", "patient_shop")
    serve_anew(world)
    assert status(world) == "blocked"
    deploy(mended, versions=(1, 2, 3), timeout="1h")
    sending.resume(world, "run-1")
    Turns(world, live_limit=0).take("run-1", [delivery.message for delivery in world.receive("runs")])
    assert world.get_run("run-1").version == 3  # type: ignore[union-attr]
    (applied,) = (event for event in world.load_history("run-1") if isinstance(event, Applied))
    assert (applied.version, applied.timeout) == (3, 3600)
    assert "TimerStarted" in [event.event_type for event in world.load_history("run-1")]


def test_it_keeps_to_the_version_that_it_began_as(world: CrashingWorld):
    starting.start(world, "run-1", "patient_shop")
    serve_anew(world)
    deploy(mended, versions=(1, 2))
    sending.resume(world, "run-1")
    serve_anew(world)
    deploy(mended, versions=(1, 2, 3))
    sending.signal(world, "run-1", "go", 1)
    serve_anew(world)
    assert world.read_run("run-1").result == [1]
    assert world.read_run("run-1").version == 2


def test_a_run_whose_version_is_gone_is_blocked_until_it_is_back(world: CrashingWorld):
    deploy(mended, versions=(1, 2))
    starting.start(world, "run-1", "patient_shop")
    serve_anew(world)
    deploy(mended, versions=(1, 3))
    sending.signal(world, "run-1", "go", 1)
    serve_anew(world)
    record = world.read_run("run-1")
    assert record.status == "blocked"
    assert record.blocked_reason
    assert "version 2" in record.blocked_reason
    deploy(mended, versions=(2,))
    sending.resume(world, "run-1")
    serve_anew(world)
    assert world.read_run("run-1").result == [1]


def test_the_parent_of_a_blocked_child_waits_and_hears_of_its_termination(world: CrashingWorld):
    starting.start(world, "run-1", concerned)
    serve_anew(world)
    assert (status(world), status(world, "run-1~c1")) == ("running", "blocked")
    sending.terminate(world, "run-1~c1")
    serve_anew(world)
    assert world.read_run("run-1").result == "RunCancelledError"


def test_a_blocked_child_ends_with_its_parent(world: CrashingWorld):
    starting.start(world, "run-1", concerned)
    serve_anew(world)
    sending.cancel(world, "run-1")
    serve_anew(world)
    assert (status(world), status(world, "run-1~c1")) == ("cancelled", "cancelled")


def test_a_termination_in_one_batch_with_the_start(world: CrashingWorld, turns: Turns):
    deploy(mended)
    starting.start(world, "run-1", "patient_shop")
    sending.terminate(world, "run-1")
    deliveries = world.receive("runs")
    assert len(deliveries) == 2
    turns.take("run-1", [delivery.message for delivery in deliveries])
    assert status(world) == "cancelled"
    turns.take("run-1", [Start(run_id="run-1")], redo=True)
    assert status(world) == "cancelled"
