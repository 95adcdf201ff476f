"""What it takes to read and to write values is the engine's work: it does not count as a workflow that does not await.

Here a value takes ten seconds by a clock of the test's own, and the watchdog looks at once.
"""

import threading
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel

from tests.support.crashes import CrashingWorld, settle
from worldflow import create_hook, on_update, publish, step, wait_for_signal, workflow
from worldflow.engine.values.serialization import Codec
from worldflow.runtime import queries, sending, starting, updates, webhooks
from worldflow.turns import watchdog
from worldflow.turns.turns import Turns


class Clock:
    now = 0.0


def take_long() -> None:
    """Ten seconds pass, before and after which the watchdog looks."""
    look()
    Clock.now += 10
    look()


def look() -> None:
    watch = watchdog._watchdog._watches.get(threading.get_ident())
    if watch:
        watchdog._watchdog._check(watch)


def slow(value: Any) -> Any:
    take_long()
    return value


class Rows(BaseModel):
    values: Annotated[list[int], AfterValidator(slow)]


ROWS = Rows(values=[1, 2])
JSON = {"values": [1, 2]}


@pytest.fixture(autouse=True)
def by_that_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_cpu_clock", lambda: lambda: Clock.now)
    monkeypatch.setattr(watchdog.time, "perf_counter", lambda: Clock.now)
    monkeypatch.setattr(watchdog, "_watchdog", watchdog._Watchdog())
    monkeypatch.setattr(watchdog._watchdog, "_thread", threading.main_thread())  # so that it needs none of its own


@step(inline=True)
async def large_rows() -> Rows:
    return ROWS


@step(inline=True)
async def total_of_rows(of: Rows, also: Rows | None = None) -> int:
    return sum(of.values)


@workflow
async def has_rows(of: Rows) -> Rows:
    look()
    found = await large_rows()
    look()
    for _ in range(20):
        await total_of_rows(found, of)
    return found


@workflow
async def is_sent_rows() -> int:
    with create_hook(Rows, token="rows") as hook:
        look()
        received = [await wait_for_signal("rows", Rows), await hook]
        look()
    return sum(len(one.values) for one in received)


@workflow
async def is_updated_with_rows() -> None:
    @on_update("add")
    async def add(more: Rows) -> Rows:
        look()
        return more

    publish("rows", ROWS)
    await wait_for_signal("go")


def test_inputs_results_and_arguments(world: CrashingWorld) -> None:
    starting.start(world, "r", has_rows, {"of": JSON})
    settle(world, Turns(world))

    assert world.read_run("r").result == JSON


def test_signals_and_hooks(world: CrashingWorld) -> None:
    turns = Turns(world)
    starting.start(world, "r", is_sent_rows, {})
    settle(world, turns)
    sending.signal(world, "r", "rows", JSON)
    settle(world, turns)
    webhooks.resume_hook(world, "rows", JSON)
    settle(world, turns)

    assert world.read_run("r").result == 4


def test_updates_and_queries(world: CrashingWorld) -> None:
    turns = Turns(world)
    starting.start(world, "r", is_updated_with_rows, {})
    settle(world, turns)
    updates.send_update(world, "r", "add", (JSON,))
    settle(world, turns)

    assert world.read_run("r").status == "running"
    assert queries.query(world, "r", "rows") == JSON


def test_a_replay_reads_them_again(world: CrashingWorld) -> None:
    @workflow
    async def goes_on(of: Rows) -> int:
        first = await total_of_rows(await large_rows(), of)
        await wait_for_signal("go")
        return first

    starting.start(world, "r", goes_on, {"of": JSON})
    settle(world, Turns(world))
    sending.signal(world, "r", "go")
    settle(world, Turns(world))

    assert world.read_run("r").result == 3


def test_the_workflow_s_own_time_counts_beside_it(world: CrashingWorld) -> None:
    @workflow
    async def computes(of: Rows) -> None:
        take_long()
        look()

    starting.start(world, "r", computes, {"of": JSON})
    settle(world, Turns(world))

    assert "without awaiting" in (world.read_run("r").blocked_reason or "")


def test_a_validator_that_does_not_end_is_stopped(world: CrashingWorld) -> None:
    def never_ends(value: Any) -> Any:
        while True:
            take_long()

    class Bad(BaseModel):
        value: Annotated[int, AfterValidator(never_ends)]

    @workflow
    async def reads() -> None:
        await wait_for_signal("bad", Bad)

    turns = Turns(world)
    starting.start(world, "r", reads, {})
    settle(world, turns)
    sending.signal(world, "r", "bad", {"value": 1})
    settle(world, turns)

    assert "without awaiting" in (world.read_run("r").blocked_reason or "")


def test_values_that_are_read_again_and_again_count_in_the_end(world: CrashingWorld) -> None:
    @workflow
    async def spins(of: Rows) -> None:
        while True:
            Codec(Rows, "rows").encode(of)

    starting.start(world, "r", spins, {"of": JSON})
    settle(world, Turns(world))

    assert "without awaiting" in (world.read_run("r").blocked_reason or "")
