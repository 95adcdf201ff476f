"""The process dies anywhere while a workflow is paused and unpaused: no run is lost, begun early or left waiting."""

from functools import partial

import pytest

from tests.support.crashes import Crashes, CrashingWorld, When, die_at_each_call, persist, serve
from worldflow import step, workflow
from worldflow.runtime import starting
from worldflow.runtime.workflow_pauses import pause_workflow, paused_workflows, unpause_workflow

pytestmark = pytest.mark.usefixtures("quiet")

begun: list[str] = []


@step(inline=True)
async def begins_after_the_pause(name: str) -> str:
    begun.append(name)
    return name


@workflow
async def waits_for_its_workflow(name: str) -> str:
    return await begins_after_the_pause(name)


def lived(crashes: Crashes) -> CrashingWorld:
    begun.clear()
    world = CrashingWorld(crashes)
    persist(lambda: pause_workflow(world, waits_for_its_workflow, "an incident"))
    for name in ("one", "two"):
        persist(partial(starting.start, world, name, waits_for_its_workflow, {"name": name}))
    serve(world)
    assert begun == [] and world.read_run("two").status == "paused", world.crashed
    persist(lambda: list(unpause_workflow(world, waits_for_its_workflow)))
    serve(world)
    return world


def check(world: CrashingWorld) -> None:
    assert [world.read_run(name).result for name in ("one", "two")] == ["one", "two"], world.crashed
    assert paused_workflows(world) == [] and world._rows("select body from messages") == [], world.crashed
    if not world.crashed:
        assert begun == ["one", "two"]


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_once(when: When) -> None:
    die_at_each_call(lived, check, when)
