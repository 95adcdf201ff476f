"""`@workflow(timeout=)` begins anew where a run is tried again or forked, in warm and in cold processes."""

from datetime import timedelta

import pytest

from tests.support.crashes import CrashingWorld, serve, settle
from tests.support.driver import Chance
from tests.support.trouble import charge, kinds, ran, result, runs, shaky
from worldflow import sleep, wait_for_signal, workflow
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.execution import Execution
from worldflow.runtime import sending, starting
from worldflow.turns.turns import Turns

pytestmark = pytest.mark.time_of_day


@workflow(timeout="1h")
async def shaky_for_an_hour() -> str:
    done = await shaky()
    await sleep("50m")
    return done


@workflow(timeout="1h")
async def waits_for_an_hour() -> str:
    await charge()
    return await wait_for_signal("go")


@workflow(timeout="1h")
async def tidies_up_in_the_end() -> str:
    try:
        return await wait_for_signal("go")
    finally:
        await charge()


@pytest.fixture(params=["warm", "cold"])
def live_limit(request: pytest.FixtureRequest) -> int:
    return 200 if request.param == "warm" else 0


def replays(world: CrashingWorld, run_id: str, workflow) -> None:
    execution = Execution(run_id, workflow)
    execution.replay(world.load_history(run_id))
    execution.dispose()


@pytest.mark.parametrize("later", [timedelta(0), timedelta(minutes=30), timedelta(days=1)])
def test_a_retried_run_has_it_anew(world: CrashingWorld, trouble: list[str], live_limit: int, later: timedelta):
    starting.start(world, "r", shaky_for_an_hour)
    serve(world, live_limit=live_limit)
    trouble.clear()
    world.time += later
    starting.retry(world, "r")
    serve(world, live_limit=live_limit)
    assert result(world, "r~2") == "shaky"
    replays(world, "r~2", shaky_for_an_hour)


def test_one_that_failed_of_it_can_be_tried_again(world: CrashingWorld, trouble: list[str], live_limit: int):
    starting.start(world, "r", waits_for_an_hour)
    serve(world, live_limit=live_limit)
    error = world.read_run("r").error
    assert error
    assert error.type == "builtins:TimeoutError"
    starting.retry(world, "r")
    turns = Turns(world, live_limit=live_limit, chance=Chance(0.5))
    settle(world, turns)
    assert runs(world) == {"r": "failed", "r~2": "running"}
    sending.signal(world, "r", "go", "gone")
    settle(world, turns)
    assert result(world, "r~2") == "gone"
    assert ran == ["charge"]
    replays(world, "r~2", waits_for_an_hour)


def test_a_fork_has_it_anew(world: CrashingWorld, trouble: list[str], live_limit: int):
    turns = Turns(world, live_limit=live_limit, chance=Chance(0.5))
    starting.start(world, "r", waits_for_an_hour)
    settle(world, turns)
    world.time += timedelta(minutes=50)
    starting.fork(world, "r", "f", after=4)
    settle(world, turns)
    world.time += timedelta(minutes=50)
    settle(world, turns)
    assert runs(world) == {"r": "failed", "f": "running"}
    world.time += timedelta(minutes=11)
    settle(world, turns)
    assert runs(world) == {"r": "failed", "f": "failed"}
    assert kinds(world, "f").count("TimerFired") == 1
    replays(world, "f", waits_for_an_hour)


def test_a_fork_of_a_fork_of_a_retried_run(world: CrashingWorld, trouble: list[str], live_limit: int):
    starting.start(world, "r", shaky_for_an_hour)
    serve(world, live_limit=live_limit)
    trouble.clear()
    for source, fork in (("r~2", "f"), ("f", "g")):
        world.time += timedelta(days=1)
        if source == "r~2":
            starting.retry(world, "r")
            serve(world, live_limit=live_limit)
        world.time += timedelta(days=1)
        starting.fork(world, source, fork, after=2)
        serve(world, live_limit=live_limit)
        assert result(world, fork) == "shaky"
        replays(world, fork, shaky_for_an_hour)


def test_it_comes_while_the_code_is_missing(
    world: CrashingWorld, trouble: list[str], live_limit: int, monkeypatch: pytest.MonkeyPatch
):
    starting.start(world, "r", waits_for_an_hour)
    settle(world)
    sending.signal(world, "r", "go")
    settle(world)
    world.time += timedelta(days=1)
    with monkeypatch.context() as patch:
        patch.delitem(definitions._workflows._versions, "waits_for_an_hour")
        starting.fork(world, "r", "f", after=4)
        serve(world, live_limit=live_limit)
        assert world.read_run("f").status == "blocked"
        assert "TimerFired" in kinds(world, "f")
    sending.resume(world, "f")
    sending.signal(world, "f", "go", "gone")
    settle(world, Turns(world, live_limit=live_limit))
    assert result(world, "f") == "gone"
    replays(world, "f", waits_for_an_hour)


def test_one_that_tidied_up_can_be_tried_again(world: CrashingWorld, trouble: list[str]):
    starting.start(world, "r", tidies_up_in_the_end)
    serve(world)
    starting.retry(world, "r")
    settle(world)
    assert runs(world) == {"r": "failed", "r~2": "running"}
