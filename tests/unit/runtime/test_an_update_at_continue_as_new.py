"""An update that no handler has begun when a run continues as new is answered by the generation that follows."""

import pytest

from tests.support.crashes import CrashingWorld, serve
from worldflow import RunEndedError, continue_as_new, on_update, wait_for_signal, workflow
from worldflow.engine.history import RunContinued
from worldflow.runtime import sending, starting, updates


@workflow
async def continues_behind_an_update(generations: int, n: int = 1) -> int:
    if n == 1:
        await wait_for_signal("go")

    @on_update("add")
    async def add(x: int) -> int:
        return 10 * n + x

    if n < generations:
        continue_as_new(generations, n + 1)
    await wait_for_signal("end")
    return n


@pytest.mark.parametrize("generations", [2, 4])
def test_it_is_answered_once(world: CrashingWorld, generations: int):
    starting.start(world, "r", continues_behind_an_update, {"generations": generations})
    serve(world)
    update = updates.send_update(world, "r", "add", (1,), update_id="1")
    serve(world)
    sending.signal(world, "r", "go")
    serve(world)
    ended = world.load_history("r")[-1]
    assert isinstance(ended, RunContinued)
    assert ended.carried
    reply = updates.look_for_answer(world, update)
    assert reply
    assert updates.answer(reply) == 10 * generations + 1
    again = updates.send_update(world, "r", "add", (1,), update_id="1")
    serve(world)
    assert updates.look_for_answer(world, again) == reply


def test_one_that_is_carried_into_an_end_is_refused(world: CrashingWorld):
    starting.start(world, "r", continues_behind_an_update, {"generations": 2})
    serve(world)
    update = updates.send_update(world, "r", "unheard_of", (), update_id="1")
    serve(world)
    sending.signal(world, "r", "go")
    sending.signal(world, "r", "end")
    serve(world)
    with pytest.raises(RunEndedError):
        updates.look_for_answer(world, update)
