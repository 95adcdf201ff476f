"""The process dies before or after each write, send and acknowledgement: the run ends as if it had not."""

import asyncio
from collections import Counter

import pytest

from tests.support.crashes import (
    Crashes,
    CrashingWorld,
    When,
    die_at_each_call,
    die_often,
    never,
    persist,
    serve,
    whole_history,
)
from worldflow import RetryPolicy, sleep, step, step_info, uuid4, wait_for_signal, workflow
from worldflow.engine.history import StepCompleted, StepFailed
from worldflow.runtime import sending, starting

executions: Counter[str] = Counter()
pytestmark = pytest.mark.usefixtures("quiet")

EXPECTED = [
    "12b4a953-2fdd-4245-913d-0e954a01ccf3",
    "reserved 0",
    "reserved 1",
    "approved",
    "charged 2",
    "refused",
    "x" * 300,
    "task-3",
]
"""What the run returns, first the id that it draws."""


def executed() -> None:
    info = step_info()
    executions[f"{info.step_id}/{info.attempt}"] += 1


@step
async def hold_line(line: int) -> str:
    executed()
    return f"reserved {line}"


@step(retry=RetryPolicy(max_attempts=3, initial_interval="10s", jitter=0))
def take_money(amount: int) -> str:
    executed()
    if step_info().attempt < 3:
        raise ConnectionError("try again")
    return f"charged {amount}"


@step(retry=RetryPolicy(max_attempts=1))
async def say_no() -> None:
    executed()
    raise LookupError("refused")


@step
async def pack_slowly() -> str:
    executed()
    return "x" * 300


@workflow
async def crash_order(lines: int) -> list[str]:
    seen = [str(uuid4()), *await asyncio.gather(*(hold_line(n) for n in range(lines)))]
    try:
        async with asyncio.timeout(60):
            seen.append(await wait_for_signal("approval", str))
    except TimeoutError:
        seen.append("not approved")
    seen.append(await take_money(lines))
    try:
        await say_no()
    except LookupError as error:
        seen.append(str(error))
    await sleep("30d")
    left_over = asyncio.create_task(sleep("1d"))
    seen.append(await pack_slowly())
    return [*seen, left_over.get_name()]


def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
    """Runs the workflow from beginning to end."""
    executions.clear()
    world = CrashingWorld(crashes)
    world.inline_limit = 200
    world.asks_to_announce = True
    persist(lambda: starting.start(world, "order-1", crash_order, {"lines": 2}))
    persist(lambda: sending.signal(world, "order-1", "approval", "approved", signal_id="signal-1"))
    serve(world, live_limit=live_limit)
    return world


def check(world: CrashingWorld) -> None:
    record = world.read_run("order-1")
    assert (record.status, record.result) == ("completed", EXPECTED), (record, world.crashed)
    history = whole_history(world, "order-1", crash_order)
    answered = Counter(event.fact_id for event in history if isinstance(event, (StepCompleted, StepFailed)))
    assert answered == {"s1/1": 1, "s2/1": 1, "s3/1": 1, "s3/2": 1, "s3/3": 1, "s4/1": 1, "s5/1": 1}, world.crashed
    assert world.receive("dead") == []
    assert {event.id.split("/", 2)[2] for event in world.announced} == {"started/1", f"completed/{len(history)}"}


def check_once(world: CrashingWorld) -> None:
    """An attempt runs again only if the function died with it, before its outcome was in the ledger."""
    check(world)
    may_repeat = {"before put_outcome", "before put_payload", "after put_payload"} & {*world.crashed}
    assert max(executions.values()) == 1 or may_repeat, (world.crashed, executions)


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_once(when: When):
    die_at_each_call(lived, check_once, when)


@pytest.mark.parametrize("seed", range(40))
def test_the_process_dies_many_times(seed: int):
    die_often(lived, check, seed)


def test_no_process_keeps_anything():
    """Each turn reads its history: the result is the same."""
    world = lived(never, live_limit=0)
    check_once(world)
    world.close()
