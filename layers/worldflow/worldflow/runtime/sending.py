"""What applications send to runs: signals, requests to cancel, terminate, wake, pause and resume."""

from __future__ import annotations

import uuid
from typing import Any

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import RunPaused, RunUnpaused, TerminateRequested, TimerFired, TimerStarted
from worldflow.engine.history.state import RunState
from worldflow.engine.ids import check_id, check_name
from worldflow.runtime.callers import caller
from worldflow.turns.other_runs import brief, open_run, send_cancel, send_signal
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived, Poke

_NO_TIMER = FieldError("timer", "must be the id of a timer that the run has started")


def signal(world: World, run_id: str, name: str, value: Any = None, *, signal_id: str | None = None) -> str:
    """Sends a signal to a run, in its newest generation. Returns the signal's id.

    signal_id: identifies the signal: sent twice with the same id, it is delivered once. Default: a new id.
    Raises `RunNotFoundError`, `RunEndedError`, `SerializationError`, and `InvalidInputError` for a bad name, and for a
    value that is not of the type that the workflow declares, where its code is in this process. Logs a warning for a
    name that the workflow does not declare although it declares others.
    """
    check_name(name)
    check_id(signal_id, "signal_id")
    signal_id = signal_id or uuid.uuid4().hex
    send_signal(world, run_id, name, value, signal_id, caller())
    return signal_id


def cancel(world: World, run_id: str, reason: str | None = None) -> None:
    """Asks a run to end: its workflow sees `asyncio.CancelledError` where it waits.

    Raises `RunNotFoundError` and `RunEndedError`.
    """
    # Each request is a separate message: a second one ends a run whose code broke while it was being cancelled.
    send_cancel(world, run_id, reason, uuid.uuid4().hex)


def terminate(world: World, run_id: str, reason: str | None = None) -> None:
    """Ends a run at once, as `cancelled`: its workflow learns nothing of it, and undoes nothing.

    Raises `RunNotFoundError` and `RunEndedError`.
    """
    fact = TerminateRequested(reason=brief(reason))
    world.send([FactArrived(run_id=open_run(world, run_id).run_id, fact=fact, nonce=uuid.uuid4().hex)])


def wake(world: World, run_id: str, timer: str | None = None) -> int:
    """Ends the sleeps of a run now. Returns how many it ends; 0 where it does not sleep.

    timer: the id of one timer to end, which may be that of a timeout. Default: all sleeps, and no timeouts.
    Raises `RunNotFoundError`, `RunEndedError`, and `InvalidInputError` for a timer that the run has not started.
    """
    run_id = open_run(world, run_id).run_id
    history = world.load_history(run_id)
    timers = RunState(history).timers
    if timer is not None and timer not in {one.timer_id for one in history if isinstance(one, TimerStarted)}:
        open_ones = f": its open timers are {', '.join(sorted(timers))}" if timers else ": it has no open timer"
        raise InvalidInputError(f"run {run_id!r} has started no timer {timer!r}{open_ones}", [_NO_TIMER])
    woken = [id for id, started in timers.items() if (started.sleep if timer is None else id == timer)]
    facts = [TimerFired(timer_id=id, woken=True) for id in woken]
    if facts:
        # Each by an id of its own: the queue is not to take it for a copy of what comes when the timer is due.
        world.send([FactArrived(run_id=run_id, fact=fact, nonce="wake") for fact in facts])
    return len(facts)


def pause(world: World, run_id: str, reason: str | None = None, *, by: str | None = None) -> None:
    """Pauses a run, from its next turn on. One that is paused stays so.

    by: who asks for it.
    Raises `RunNotFoundError` and `RunEndedError`.
    """
    fact = RunPaused(pause_id=uuid.uuid4().hex, reason=brief(reason), by=brief(by))
    _send(world, run_id, fact)


def unpause(world: World, run_id: str) -> None:
    """Ends the pause of a run. Does nothing to one that is not paused.

    Raises `RunNotFoundError` and `RunEndedError`.
    """
    _send(world, run_id, RunUnpaused(pause_id=uuid.uuid4().hex))


def _send(world: World, run_id: str, fact: RunPaused | RunUnpaused) -> None:
    world.send([FactArrived(run_id=open_run(world, run_id).run_id, fact=fact)])


def resume(world: World, run_id: str) -> None:
    """Requests a turn of a run, which repeats requests that are still open: for a blocked run after its code is fixed.

    Raises `RunNotFoundError` and `RunEndedError`.
    """
    world.send([Poke(run_id=open_run(world, run_id).run_id)])
