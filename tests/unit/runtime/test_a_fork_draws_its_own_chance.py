"""A fork has the ids and numbers of its source up to where it goes on from, and others behind that."""

from typing import Any

from tests.support.crashes import CrashingWorld, settle
from tests.support.trouble import charge, result, shaky
from worldflow import create_hook, random, uuid4, workflow
from worldflow.engine.history import HookCreated
from worldflow.runtime import starting
from worldflow.turns.turns import Turns
from worldflow.worlds import items


@workflow
async def draws_around_a_step() -> list[Any]:
    before = [str(uuid4()), random().random()]
    await charge()
    return [before, [str(uuid4()), random().random()]]


@workflow
async def draws_after_trouble() -> list[Any]:
    before = str(uuid4())
    await shaky()
    return [before, str(uuid4())]


@workflow
async def hook_behind_a_step() -> str:
    await charge()
    with create_hook() as hook:
        return await hook


def test_what_is_drawn_behind_the_fork_is_its_own(world: CrashingWorld):
    turns = Turns(world)  # with the system's chance
    starting.start(world, "r", draws_around_a_step)
    settle(world, turns)
    for fork in ("one", "two"):
        starting.fork(world, "r", fork, after=2)
        settle(world, turns)
    results: list[Any] = [result(world, run_id) for run_id in ("r", "one", "two")]
    assert len({str(before) for before, _ in results}) == 1
    assert len({str(behind) for _, behind in results}) == 3
    turns.close()


def test_so_is_what_a_retried_run_draws(world: CrashingWorld, trouble: list[str]):
    # Twice from one failed run would else be the same; each retry has a seed that nobody else has.
    turns = Turns(world)
    starting.start(world, "r", draws_after_trouble)
    settle(world, turns)
    trouble.clear()
    starting.fork(world, "r", "f", after=2)
    starting.retry(world, "r")
    settle(world, turns)
    (retried_before, retried_behind), (forked_before, forked_behind) = result(world, "r~2"), result(world, "f")
    assert retried_before == forked_before
    assert retried_behind != forked_behind
    turns.close()


def test_a_cold_process_draws_the_same_for_it(world: CrashingWorld):
    starting.start(world, "r", hook_behind_a_step)
    settle(world, Turns(world))
    starting.fork(world, "r", "f", after=2)
    settle(world, Turns(world))
    (token,) = (event.token for event in world.load_history("f") if isinstance(event, HookCreated))
    Turns(world).take("f", [])  # replays, and compares
    assert world.read_run("f").status == "running"
    assert items.get_hook(world, token)


def test_the_token_of_its_hook_is_its_own(world: CrashingWorld):
    turns = Turns(world)
    starting.start(world, "r", hook_behind_a_step)
    settle(world, turns)
    starting.fork(world, "r", "f", after=2)
    settle(world, turns)
    assert world.read_run("r").status == world.read_run("f").status == "running"
    tokens = [
        event.token for run_id in ("r", "f") for event in world.load_history(run_id) if isinstance(event, HookCreated)
    ]
    assert len(set(tokens)) == 2
    turns.close()
