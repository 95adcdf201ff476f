"""A child that outlives its parent tells no later run of that id, though it has a child of the same number."""

import asyncio
from datetime import timedelta

import pytest

from tests.support.crashes import CrashingWorld, serve, settle
from tests.support.trouble import result
from worldflow import continue_as_new, sleep, workflow
from worldflow.engine.history import Parent
from worldflow.runtime import starting
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import Start
from worldflow.worlds.records import RunRecord


@workflow
async def says_it_in_an_hour(what: str) -> str:
    await sleep("1h")
    return what


@workflow
async def leaves_or_waits(what: str, leave: bool) -> str:
    task = asyncio.create_task(says_it_in_an_hour.options(parent_close="abandon")(what))
    await asyncio.sleep(0)
    return "left" if leave else await task


@pytest.mark.parametrize("replaced", [True, False])
def test_each_hears_of_its_own(world: CrashingWorld, replaced: bool):
    starting.start(world, "r", leaves_or_waits, {"what": "old", "leave": not replaced})
    settle(world)
    world.time += timedelta(minutes=30)
    starting.start(
        world,
        "r",
        leaves_or_waits,
        {"what": "new", "leave": False},
        if_running="terminate_existing",
        reuse="allow",
    )
    serve(world)
    assert result(world, "r~2") == "new"
    assert [result(world, run_id) for run_id in ("r~c1", "r~2~c1")] == ["old", "new"]


@workflow
async def quick() -> str:
    return "quick"


@workflow
async def calls_one_of_a_fixed_id(again: bool = True) -> str:
    answer = await quick.options(run_id="fixed")()
    if again:
        continue_as_new(again=False)
    return answer


def test_a_child_of_a_generation_before_is_nobody_elses(world: CrashingWorld):
    """It would tell the generation before, which has ended, and this one would wait for ever."""
    starting.start(world, "r", calls_one_of_a_fixed_id)
    serve(world)
    record = world.read_run("r~2")
    assert record.error
    assert record.error.type.endswith(":RunExistsError")


def test_results_of_two_children_of_one_number_are_no_copies_of_each_other(world: CrashingWorld):
    """The queue takes a message for a copy by its id, and drops it."""
    told = []
    for child in ("fixed", "r~c1"):
        parent = Parent(run_id="r", child_id="c1")
        world.create_run(
            RunRecord(
                run_id=child, workflow_name="quick", created_at=world.now(), updated_at=world.now(), parent=parent
            )
        )
        Turns(world).take(child, [Start(run_id=child)])
        Turns(world).take(child, [Start(run_id=child, asked_by=Parent(run_id="r~2", child_id="c1"))])
    while deliveries := world.receive("runs"):
        told += [delivery.message.dedup_id for delivery in deliveries]
        world.acknowledge(deliveries)
    assert sorted(set(told)) == sorted(["r:c1:fixed", "r:c1:r~c1", "r~2:c1:fixed:asked", "r~2:c1:r~c1:asked"])
