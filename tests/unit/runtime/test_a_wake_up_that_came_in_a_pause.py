"""A retry falls due in a pause by one clock, and after it by another: what is sent again is no copy to the queue."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.crashes import CrashingWorld
from tests.support.driver import Chance
from tests.support.office import Office, wakes
from worldflow import RetryPolicy, step, workflow
from worldflow.engine.history import RunPaused, RunUnpaused
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import FactArrived, StepDue, StepTask

pytestmark = pytest.mark.usefixtures("quiet")


@step(retry=RetryPolicy(max_attempts=2, initial_interval="10s", jitter=0), timeout="5s")
async def due_in_a_pause() -> None: ...


@workflow
async def retries_what_is_due_in_a_pause() -> None:
    await due_in_a_pause()


def test_a_timeout_from_before_the_pause_is_void(world: CrashingWorld) -> None:
    office, turns = Office(world, retries_what_is_due_in_a_pause), Turns(world, chance=Chance(0.5))
    turns.take("run-1", [office.start()])
    world.time += timedelta(seconds=1)
    turns.take("run-1", [office.failed("s1", OSError("not yet"))])
    stale = wakes(office, FactArrived)[-1][0]
    turns.take("run-1", [office.fact(RunPaused(pause_id="p"))])
    world.time += timedelta(minutes=1)
    turns.take("run-1", [office.fact(RunUnpaused(pause_id="u"))])

    turns.take("run-1", [stale])
    assert office.history()[-1] == "RunUnpaused"


def test_the_end_of_a_pause_that_comes_again_ends_no_later_one(world: CrashingWorld) -> None:
    office, turns = Office(world, retries_what_is_due_in_a_pause), Turns(world, chance=Chance(0.5))
    turns.take("run-1", [office.start()])
    end = office.fact(RunUnpaused(pause_id="u"))
    for message in (office.fact(RunPaused(pause_id="p")), end, office.fact(RunPaused(pause_id="q")), end):
        turns.take("run-1", [message])
    assert office.history()[-1] == "RunPaused"


def test_one_whose_wake_up_was_late_has_all_its_time_after_the_pause(world: CrashingWorld) -> None:
    office, turns = Office(world, retries_what_is_due_in_a_pause), Turns(world, chance=Chance(0.5))
    turns.take("run-1", [office.start()])
    turns.take("run-1", [office.failed("s1", OSError("not yet"))])
    wake_up, timeout = wakes(office, StepDue)[-1][0], wakes(office, FactArrived)[-1][0]
    world.time += timedelta(seconds=11)  # a second after the attempt fell due
    turns.take("run-1", [office.fact(RunPaused(pause_id="p"))])
    turns.take("run-1", [wake_up])
    world.time += timedelta(hours=1)
    turns.take("run-1", [timeout])
    office.taken()

    turns.take("run-1", [office.fact(RunUnpaused(pause_id="u"))])
    (task,) = [message for message in office.taken() if isinstance(message, StepTask)]
    assert task.attempt == 2 and task.deadline and task.deadline > world.now()
    assert office.history()[-1] == "RunUnpaused"


@pytest.mark.parametrize("kind", [StepDue, FactArrived], ids=["wake-up", "timeout"])
def test_it_is_sent_by_another_id_after_the_pause(world: CrashingWorld, kind: type) -> None:
    office, turns = Office(world, retries_what_is_due_in_a_pause), Turns(world, chance=Chance(0.5))
    turns.take("run-1", [office.start()])
    world.time += timedelta(seconds=1)
    turns.take("run-1", [office.failed("s1", OSError("not yet"))])
    came = wakes(office, kind)[-1][0]
    turns.take("run-1", [office.fact(RunPaused(pause_id="p"))])
    turns.take("run-1", [came])

    turns.take("run-1", [office.fact(RunUnpaused(pause_id="u"))])

    again = wakes(office, kind)[-1][0]
    assert again.dedup_id != came.dedup_id
    world.time += timedelta(seconds=30)
    office.taken()
    turns.take("run-1", [again])
    if kind is StepDue:
        assert office.kinds() == ["step s1/2 redo"]
    else:
        assert office.history()[-2:] == ["StepFailed", "RunFailed"]
