"""The process dies before or after each write, send and acknowledgement: the run ends as if it had not."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.support.crashes import CrashingWorld, When, persist, serve
from worldflow import RetryPolicy, sleep, step, step_info, uuid4, wait_for_signal, workflow
from worldflow.engine.history import Event, StepCompleted, StepFailed
from worldflow.engine.workflow.execution import Execution
from worldflow.runtime import sending, starting

executions: Counter[str] = Counter()
worlds: list[CrashingWorld] = []


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


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    executions.clear()
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)
    yield
    while worlds:
        worlds.pop().close()


def ordered(crashes: Callable[[int, When], bool], *, live_limit: int = 200) -> CrashingWorld:
    """Runs the workflow from beginning to end."""
    world = CrashingWorld(crashes)
    worlds.append(world)
    world.inline_limit = 200
    world.asks_to_announce = True
    persist(lambda: starting.start(world, "order-1", crash_order, {"lines": 2}))
    persist(lambda: sending.signal(world, "order-1", "approval", "approved", signal_id="signal-1"))
    serve(world, live_limit=live_limit)
    return world


def never(call: int, when: When) -> bool:
    return False


def outcome(world: CrashingWorld) -> list[str]:
    record = world.read_run("order-1")
    assert record.status == "completed", (record, world.crashed)
    return record.result  # type: ignore[no-any-return]


def check(world: CrashingWorld, expected: list[str]) -> None:
    assert outcome(world) == expected, world.crashed
    history = world.read_events("order-1")
    assert [event.seq for event in history] == list(range(1, len(history) + 1))
    assert [event.at for event in history] == sorted(event.at for event in history)
    answered = Counter(event.fact_id for event in history if isinstance(event, (StepCompleted, StepFailed)))
    assert answered == {"s1/1": 1, "s2/1": 1, "s3/1": 1, "s3/2": 1, "s3/3": 1, "s4/1": 1, "s5/1": 1}, world.crashed
    replay(history)
    assert world.get_run("order-1").seq == len(history)  # type: ignore[union-attr]
    assert world.receive("dead") == []
    assert {event.id.split("/", 2)[2] for event in world.announced} == {"started/1", f"completed/{len(history)}"}


def replay(history: list[Event]) -> None:
    execution = Execution("order-1", crash_order)
    execution.replay(history)
    execution.dispose()


EXPECTED: list[str] = []
CALLS: list[str] = []


@pytest.fixture
def expected() -> list[str]:
    """What the run comes to when nothing dies."""
    if not EXPECTED:
        world = ordered(never)
        EXPECTED.extend(outcome(world))
        CALLS.extend(world.calls)
        assert max(executions.values()) == 1
        check(world, EXPECTED)
        executions.clear()
    return EXPECTED


@pytest.mark.one_python
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_once(expected: list[str], when: When):
    for call in range(len(CALLS)):
        executions.clear()
        world = ordered(lambda number, moment, call=call: (number, moment) == (call, when))
        assert world.crashed, "the call was never reached"
        check(world, expected)
        # An attempt runs again only if the function died with it, before its outcome was in the ledger.
        may_repeat = world.crashed[0] in ("before put_outcome", "before put_payload", "after put_payload")
        assert max(executions.values()) == 1 or may_repeat, (call, world.crashed, executions)


@pytest.mark.parametrize("seed", range(40))
def test_the_process_dies_many_times(expected: list[str], seed: int):
    chance = random.Random(seed)
    rate = chance.choice([0.02, 0.1, 0.3])
    deaths = count()
    world = ordered(
        lambda number, moment: chance.random() < rate and next(deaths) < 18, live_limit=chance.choice([0, 1, 200])
    )
    check(world, expected)


def test_no_process_keeps_anything(expected: list[str]):
    """Each turn reads its history: the result is the same."""
    check(ordered(never, live_limit=0), expected)
    assert max(executions.values()) == 1
