"""A turn loads, applies, commits and acts: whatever it sends is sent after its commit."""

from contextlib import closing
from datetime import timedelta

import pytest

from tests.support.crashes import Crash, CrashingWorld, once, serve, take_turn
from worldflow import step, wait_for_signal, workflow
from worldflow.engine.errors import ConflictError
from worldflow.runtime import sending, starting
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import HeartbeatDue


@step(heartbeat_timeout="1m")
async def beat_unseen() -> None:
    pass


@workflow
async def waits_for_the_word(has_it: bool = False) -> str:
    if has_it:
        return "word"
    return await wait_for_signal("word")  # type: ignore[no-any-return]


@workflow
async def waits_for_a_beat() -> None:
    await beat_unseen()


@pytest.fixture
def world() -> CrashingWorld:
    return CrashingWorld()


def test_a_run_that_takes_another_ones_place(world: CrashingWorld, turns: Turns) -> None:
    starting.start(world, "r", waits_for_the_word)
    serve(world)
    starting.start(world, "r", waits_for_the_word, if_running="terminate_existing")
    world.calls.clear()

    while "append" not in world.calls:
        take_turn(world, turns)
    assert "send" not in world.calls[: world.calls.index("append")]


def test_the_next_look_at_heartbeats(world: CrashingWorld, turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    starting.start(world, "r", waits_for_a_beat)
    take_turn(world, turns)
    world.time += timedelta(seconds=90)
    look = HeartbeatDue(run_id="r", step_id="s1", attempt=1, due=world.now())
    world.calls.clear()
    # Another process has taken a turn of the run meanwhile.
    monkeypatch.setattr(world, "load_history", lambda *_, **__: [object()])

    with pytest.raises(ConflictError), turns.begin("r", [look]) as turn:
        turn.advance()
        turn.settle()
    assert "send" not in world.calls


@pytest.mark.parametrize("message", [None, "a signal"])
@pytest.mark.parametrize("input", [{}, {"has_it": True}], ids=["waits", "ends at once"])
def test_what_the_commit_leaves_to_send_is_sent_by_the_next_turn(
    world: CrashingWorld, input: dict[str, bool], message: str | None
) -> None:
    """The run that another replaces is told to end, although the process dies after the commit of the other's start,
    and whatever else comes in the next turn.
    """
    starting.start(world, "r", waits_for_the_word)
    serve(world)
    starting.start(world, "r", waits_for_the_word, input, if_running="terminate_existing")
    world._rows("delete from messages where body like '%TerminateRequested%'")
    world.calls.clear()
    world.crashes = once(0, "after")  # the first call of the turn: its commit
    with closing(Turns(world)) as turns, pytest.raises(Crash):
        take_turn(world, turns)
    world.recover()
    if message:
        sending.signal(world, "r~2", "other", signal_id="1")
    serve(world)

    assert world.crashed == ["after append"]
    assert world.read_run("r").status == "cancelled"
    assert world.read_run("r~2").status == ("completed" if input else "running")
