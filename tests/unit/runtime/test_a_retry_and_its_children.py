"""What becomes of the children of a run that is tried again."""

import asyncio

from tests.support.crashes import CrashingWorld, serve, settle
from tests.support.trouble import ran, result, runs, shaky, slow_child
from worldflow import continue_as_new, sleep, workflow
from worldflow.engine.history import ChildStarted
from worldflow.runtime import starting


@workflow
async def quick_child() -> str:
    return "quick"


@workflow
async def detaches() -> str:
    slow_child.start_detached()
    await sleep("1s")
    return await shaky()


@workflow
async def detaches_by_name() -> str:
    slow_child.options(run_id="slow").start_detached()
    await sleep("1s")
    return await shaky()


@workflow
async def detaches_a_quick_one() -> str:
    child = quick_child.start_detached()
    await sleep("1s")
    await shaky()
    return child


@workflow
async def awaits_a_quick_one() -> str:
    await quick_child()
    return await shaky()


@workflow
async def awaits_one_that_is_abandoned() -> str:
    task = asyncio.create_task(slow_child.options(run_id="slow", parent_close="abandon")())
    await asyncio.sleep(0)
    await shaky()
    return await asyncio.shield(task)


@workflow
async def awaits_one_that_is_abandoned_by_no_name() -> str:
    return await slow_child.options(parent_close="abandon")()


@workflow
async def shaky_child() -> str:
    return await shaky()


@workflow
async def shaky_child_of_two(n: int = 1) -> str:
    if n == 1:
        continue_as_new(2)
    return await shaky()


@workflow
async def has_a_named_child() -> str:
    return await shaky_child.options(run_id="x")()


@workflow
async def has_a_named_child_of_two() -> str:
    return await shaky_child_of_two.options(run_id="x")()


@workflow
async def awaits_an_abandoned_shaky_one() -> str:
    return await shaky_child.options(parent_close="abandon")()


@workflow
async def reluctant_child() -> str:
    try:
        await sleep("1d")
    except asyncio.CancelledError:
        await sleep("10s")
        raise
    return "reluctant"


@workflow
async def awaits_a_reluctant_one() -> str:
    task = asyncio.create_task(reluctant_child())
    await asyncio.sleep(0)
    await shaky()
    return await task


def fails_while_its_child_goes_on(world: CrashingWorld, workflow) -> None:
    starting.start(world, "r", workflow)
    settle(world)
    while world.read_run("r").status != "failed":
        world.time = max(world.time, world.next_due())
        settle(world)


def test_a_detached_child_goes_on_and_is_not_started_anew(world: CrashingWorld, trouble: list[str]):
    fails_while_its_child_goes_on(world, detaches)
    assert runs(world) == {"r": "failed", "r~c1": "running"}
    trouble.clear()
    starting.retry(world, "r")
    serve(world)
    assert runs(world) == {"r": "failed", "r~2": "completed", "r~c1": "completed"}
    assert ran.count("slow child") == 1


def test_nor_is_one_with_an_id_of_its_own(world: CrashingWorld, trouble: list[str]):
    fails_while_its_child_goes_on(world, detaches_by_name)
    trouble.clear()
    starting.retry(world, "r")
    serve(world)
    assert runs(world) == {"r": "failed", "r~2": "completed", "slow": "completed"}


def test_the_id_of_a_detached_child_that_has_ended_stays(world: CrashingWorld, trouble: list[str]):
    starting.start(world, "r", detaches_a_quick_one)
    serve(world)
    trouble.clear()
    starting.retry(world, "r")
    serve(world)
    assert result(world, "r~2") == "r~c1"
    assert result(world, "r~c1") == "quick"


def test_so_does_that_of_one_whose_result_is_known(world: CrashingWorld, trouble: list[str]):
    starting.start(world, "r", awaits_a_quick_one)
    serve(world)
    trouble.clear()
    starting.retry(world, "r")
    serve(world)
    (child,) = (event.child_run_id for event in world.load_history("r~2") if isinstance(event, ChildStarted))
    assert child == "r~c1"
    assert runs(world) == {"r": "failed", "r~2": "completed", "r~c1": "completed"}


def test_the_result_of_an_abandoned_child_comes_to_the_run_that_awaits_it_now(world: CrashingWorld, trouble: list[str]):
    fails_while_its_child_goes_on(world, awaits_one_that_is_abandoned)
    assert runs(world) == {"r": "failed", "slow": "running"}
    trouble.clear()
    starting.retry(world, "r")
    settle(world)
    assert runs(world) == {"r": "failed", "r~2": "running", "slow": "running"}
    serve(world)
    assert result(world, "r~2") == "delivered"
    assert ran.count("slow child") == 1


def test_also_where_it_has_ended_before_the_retry(world: CrashingWorld, trouble: list[str]):
    fails_while_its_child_goes_on(world, awaits_one_that_is_abandoned)
    serve(world)
    assert runs(world) == {"r": "failed", "slow": "completed"}
    trouble.clear()
    starting.retry(world, "r")
    serve(world)
    assert result(world, "r~2") == "delivered"
    assert ran.count("slow child") == 1


def test_also_where_the_run_is_retried_twice(world: CrashingWorld, trouble: list[str]):
    fails_while_its_child_goes_on(world, awaits_one_that_is_abandoned)
    starting.retry(world, "r")
    settle(world)
    assert runs(world) == {"r": "failed", "r~2": "failed", "slow": "running"}
    trouble.clear()
    starting.retry(world, "r")
    serve(world)
    assert result(world, "r~3") == "delivered"
    assert ran.count("slow child") == 1


def test_a_named_child_that_failed_is_started_anew(world: CrashingWorld, trouble: list[str]):
    for parent in (has_a_named_child, has_a_named_child_of_two):
        run_id = parent.name
        trouble[:] = ["trouble"]
        starting.start(world, run_id, parent)
        serve(world)
        assert world.read_run(run_id).status == "failed"
        starting.retry(world, run_id)
        serve(world)
        assert world.read_run(f"{run_id}~2").error.message == "trouble"
        trouble.clear()
        starting.retry(world, run_id)
        serve(world)
        assert result(world, f"{run_id}~3") == "shaky"


def test_that_a_child_of_before_was_cancelled_is_not_told_to_the_run_that_has_another(
    world: CrashingWorld, trouble: list[str]
):
    fails_while_its_child_goes_on(world, awaits_a_reluctant_one)
    trouble.clear()
    starting.retry(world, "r")
    settle(world)
    assert runs(world) == {"r": "failed", "r~c1": "running", "r~2": "running", "r~2~c1": "running"}
    serve(world)
    assert runs(world) == {"r": "failed", "r~c1": "cancelled", "r~2": "completed", "r~2~c1": "completed"}


def test_so_is_one_that_would_have_outlived_its_parent(world: CrashingWorld, trouble: list[str]):
    starting.start(world, "r", awaits_an_abandoned_shaky_one)
    serve(world)
    trouble.clear()
    starting.retry(world, "r")
    serve(world)
    assert result(world, "r~2") == "shaky"


def test_a_fork_has_a_child_of_its_own(world: CrashingWorld, trouble: list[str]):
    starting.start(world, "r", awaits_one_that_is_abandoned_by_no_name)
    settle(world)
    starting.fork(world, "r", "f", after=2)
    trouble.clear()
    serve(world)
    assert result(world, "f") == "delivered"
