"""`step_info().idempotency_key`: the same on each attempt, also when the run is tried again; a fork has its own."""

from tests.support.crashes import CrashingWorld, serve
from tests.support.steps import NO_RETRY
from tests.support.trouble import result, troubles
from worldflow import step, step_info, workflow
from worldflow.runtime import starting

keys: list[str] = []


@step(retry=NO_RETRY)
async def tells_its_key() -> str:
    keys.append(step_info().idempotency_key)
    if troubles:
        raise OSError(troubles[0])
    return keys[-1]


@step(inline=True, retry=NO_RETRY)
async def tells_its_key_inline() -> str:
    keys.append(step_info().idempotency_key)
    if troubles:
        raise OSError(troubles[0])
    return keys[-1]


@workflow
async def key_of_a_step() -> str:
    return await tells_its_key()


@workflow
async def key_of_an_inline_step() -> str:
    return await tells_its_key_inline()


@workflow
async def two_keys() -> list[str]:
    return [await tells_its_key(), await tells_its_key()]


def test_a_run_that_is_tried_again_keeps_it(world: CrashingWorld, trouble: list[str]):
    for parent in (key_of_a_step, key_of_an_inline_step):
        keys.clear()
        trouble[:] = ["trouble"]
        run_id = parent.name
        starting.start(world, run_id, parent)
        serve(world)
        starting.retry(world, run_id)
        serve(world)
        trouble.clear()
        starting.retry(world, run_id)
        serve(world)
        assert result(world, f"{run_id}~3") == f"{run_id}/s1"
        assert keys == [f"{run_id}/s1"] * 3


def test_a_step_that_it_had_not_called_has_a_key_of_its_own_run(world: CrashingWorld, trouble: list[str]):
    keys.clear()
    starting.start(world, "r", two_keys)
    serve(world)
    trouble.clear()
    starting.retry(world, "r")
    serve(world)
    assert result(world, "r~2") == ["r/s1", "r~2/s2"]


def test_a_fork_has_its_own(world: CrashingWorld, trouble: list[str]):
    keys.clear()
    trouble.clear()
    starting.start(world, "r", two_keys)
    serve(world)
    starting.fork(world, "r", "at-the-first", after=2)
    starting.fork(world, "r", "at-the-second", after=4)
    serve(world)
    assert result(world, "r") == ["r/s1", "r/s2"]
    assert result(world, "at-the-first") == ["at-the-first/s1", "at-the-first/s2"]
    assert result(world, "at-the-second") == ["r/s1", "at-the-second/s2"]


def test_so_has_a_fork_of_a_run_that_was_tried_again(world: CrashingWorld, trouble: list[str]):
    keys.clear()
    starting.start(world, "r", key_of_a_step)
    serve(world)
    starting.retry(world, "r")
    serve(world)
    trouble.clear()
    starting.fork(world, "r~2", "f", after=2)
    starting.retry(world, "r")
    serve(world)
    assert result(world, "f") == "f/s1"
    assert result(world, "r~3") == "r/s1"
