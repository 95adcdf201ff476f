"""The process dies anywhere while updates come, of which a validator refuses some: none is both refused and done."""

import pytest

from tests.support.crashes import Crashes, CrashingWorld, When, die_at_each_call, die_often, persist, serve
from worldflow import on_update, wait_for_signal, workflow
from worldflow.engine.history import Replied, UpdateReceived
from worldflow.runtime import sending, starting, updates
from worldflow.worlds import refusals

pytestmark = pytest.mark.usefixtures("quiet")


@workflow
async def one_seat() -> list[str]:
    seated: list[str] = []

    def is_free(name: str) -> None:
        if seated:
            raise ValueError(f"taken by {seated[0]}")

    on_update("seat", validator=is_free)(lambda name: seated.append(name))
    await wait_for_signal("leave")
    seated.clear()
    await wait_for_signal("close")
    return seated


def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
    world = CrashingWorld(crashes)
    persist(lambda: starting.start(world, "r", one_seat, {}))
    for name in ("ada", "bob"):
        persist(lambda name=name: updates.send_update(world, "r", "seat", (name,), update_id=name))  # type: ignore[misc]
    serve(world, live_limit=live_limit)
    persist(lambda: sending.signal(world, "r", "leave", signal_id="leave"))
    serve(world, live_limit=live_limit)
    persist(lambda: updates.send_update(world, "r", "seat", ("bob",), update_id="bob"))
    persist(lambda: updates.send_update(world, "r", "seat", ("cyd",), update_id="cyd"))
    persist(lambda: sending.signal(world, "r", "close", signal_id="close"))
    serve(world, live_limit=live_limit)
    return world


def check(world: CrashingWorld) -> None:
    assert world.read_run("r").result == ["cyd"], world.crashed
    history = world.load_history("r")
    for kind in (UpdateReceived, Replied):
        assert [event.fact_id for event in history if isinstance(event, kind)] == ["update/ada", "update/cyd"]
    refusal = refusals.get_refusal(world, "r", "update/bob")
    assert refusal is not None and refusal.error is not None and refusal.error.message == "taken by ada"


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_once(when: When):
    die_at_each_call(lived, check, when)


@pytest.mark.parametrize("seed", range(4))
def test_the_process_dies_many_times(seed: int):
    die_often(lived, check, seed)
