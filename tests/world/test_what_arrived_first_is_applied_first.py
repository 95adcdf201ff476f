"""What has waited for an hour is applied in the order in which it happened, and a timer when it was due."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.steps import NO_RETRY
from tests.support.systems import System, finish
from worldflow import create_hook, on_update, sleep, step, wait_for_signal, workflow
from worldflow.engine.history import AnyFact, ChildCompleted, HookResumed, StepCompleted, UpdateReceived
from worldflow.runtime import sending, starting
from worldflow.turns.turns import Turns
from worldflow.worlds import LocalWorld, ledger
from worldflow.worlds.messages import FactArrived, RunMessage


@step(timeout="20s", heartbeat_timeout="10s", retry=NO_RETRY)
async def ask() -> str:
    raise AssertionError("its function is away")


@workflow
async def asked() -> str:
    return await wait_for_signal("never", str)


@workflow
async def waits_for_an_answer(kind: str) -> str:
    try:
        async with asyncio.timeout(4):
            match kind:
                case "signal":
                    return str(await wait_for_signal("answer"))
                case "hook":
                    return str(await create_hook(token="answer"))
                case "update":
                    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
                    on_update("answer")(answer.set_result)
                    return await answer
                case "step":
                    return await ask()
                case _:
                    return await asked()
    except TimeoutError:
        await sleep("1d")
        return "nobody answered"
    except asyncio.CancelledError:
        return "cancelled"


FACTS: dict[str, AnyFact] = {
    "hook": HookResumed(hook_id="h1", resume_id="1", value="yes"),
    "update": UpdateReceived(update_id="1", name="answer", args=["yes"]),
    "step": StepCompleted(step_id="s1", attempt=1, result="yes"),
    "child": ChildCompleted(child_id="c1", result="yes"),
}


def answer(system: System, kind: str) -> None:
    match kind:
        case "signal":
            sending.signal(system.world, "r", "answer", "yes")
        case "cancel":
            sending.cancel(system.world, "r")
        case _:
            system.world.send([FactArrived(run_id="r", fact=FACTS[kind])])


def opened(system: System, kind: str) -> datetime:
    """Starts the run, and returns when. What it asks for is not done."""
    starting.start(system.world, "r", waits_for_an_answer, {"kind": kind})
    return hold(system)


def hold(system: System) -> datetime:
    """Lets the run take its first turn; steps are in flight from then on."""
    with closing(Turns(system.world)) as turns:
        start = system.receive("runs")
        turns.take("r", [one.message for one in start if isinstance(one.message, RunMessage)])
        system.acknowledge(start)
    system.receive("steps")
    return system.world.load_history("r")[0].at


@pytest.mark.parametrize("kind", ["signal", *FACTS, "cancel"])
def test_what_came_in_time_beats_the_timeout(system: System, kind: str) -> None:
    began = opened(system, kind)
    system.clock.forward(began + timedelta(seconds=1))
    answer(system, kind)
    system.clock.forward(began + timedelta(hours=1))
    assert finish(system, "r").result == ("cancelled" if kind == "cancel" else "yes")


@pytest.mark.parametrize("kind", ["signal", *FACTS])
def test_the_timeout_beats_what_came_too_late(system: System, kind: str) -> None:
    began = opened(system, kind)
    system.clock.forward(began + timedelta(seconds=7))
    answer(system, kind)
    system.clock.forward(began + timedelta(hours=1))
    assert finish(system, "r").result == "nobody answered"


@workflow
async def notes_what_happens(until: int) -> list[str]:
    notes: list[str] = []

    async def after(seconds: int) -> None:
        await asyncio.sleep(seconds)
        notes.append(f"{seconds}s")

    async with asyncio.TaskGroup() as tasks:
        for seconds in (6, 2, 4):
            tasks.create_task(after(seconds))
        for _ in range(until):
            notes.append(str(await wait_for_signal("note")))
    return notes


def test_signals_and_timers_take_turns(system: System) -> None:
    starting.start(system.world, "r", notes_what_happens, {"until": 4})
    began = hold(system)
    for seconds in (1, 3, 5, 7):
        system.clock.forward(began + timedelta(seconds=seconds))
        sending.signal(system.world, "r", "note", f"signal at {seconds}")
    system.clock.forward(began + timedelta(hours=1))
    record = finish(system, "r")
    assert record.result == ["signal at 1", "2s", "signal at 3", "4s", "signal at 5", "6s", "signal at 7"]


def test_what_came_in_time_does_so_when_its_turn_fails_and_is_taken_again(system: System) -> None:
    began = opened(system, "signal")
    system.clock.forward(began + timedelta(seconds=1))
    answer(system, "signal")
    system.clock.forward(began + timedelta(seconds=10))
    received = system.receive("runs")
    assert received
    system.reject(received)
    assert finish(system, "r").result == "yes"


@workflow
async def asks_in_time() -> str:
    return await ask()


@pytest.mark.parametrize("seconds", [5, 9, 15])
def test_a_steps_result_beats_its_timeout_and_its_next_heartbeat(system: System, seconds: int) -> None:
    starting.start(system.world, "r", asks_in_time)
    began = hold(system)
    system.clock.forward(began + timedelta(seconds=seconds - 1))
    ledger.beat(system.world, "r", "s1", 1, None)
    system.clock.forward(began + timedelta(seconds=seconds))
    answer(system, "step")
    system.clock.forward(began + timedelta(hours=1))
    assert finish(system, "r").result == "yes"


def test_a_file_of_an_older_version_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with closing(LocalWorld(path)) as world:
        starting.start(world, "r", asks_in_time)
    with closing(sqlite3.connect(path)) as db:
        db.execute("alter table messages drop column arrived_at")
    with closing(LocalWorld(path)) as world:
        sending.signal(world, "r", "answer", "yes")
        kinds = [delivery.message.kind for delivery in world.receive("runs")]
    assert kinds == ["start", "fact"]
    with closing(LocalWorld(path)):
        pass
