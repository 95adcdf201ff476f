"""A workflow that uses all of asyncio that walks over sets, and its replay in a process of its own."""

import asyncio
import gc
import random as _random
import sys
from typing import Any

from tests.support.driver import Chance
from tests.support.steps import work
from worldflow import random, sleep, uuid4, wait_for_signal, workflow
from worldflow.engine.history import Decision, Fact, dump_events, load_events
from worldflow.engine.workflow.execution import Execution


async def _plain(n: int) -> Any:
    try:
        if n % 3 == 0:
            await sleep(n + 1)
        return await work(n)
    except ValueError:
        return -1


@workflow
async def everything(width: int) -> list[str]:
    """Every set of tasks that asyncio keeps, and decisions in the order in which it is walked."""
    seen: list[str] = [str(uuid4())]
    listener = asyncio.create_task(wait_for_signal("nudge"))

    pending: set[asyncio.Task[Any]] = {asyncio.create_task(_plain(n)) for n in range(width)}
    while len(pending) > width // 2:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            seen.append(str(task.result()))
            await asyncio.wait([asyncio.create_task(_plain(random().randint(1, 9)))])
    for task in pending:
        task.cancel()

    gathers = [asyncio.gather(_plain(n), sleep(1_000 + n)) for n in range(width // 4)]
    _, waiting = await asyncio.wait(gathers, timeout=3)
    for gathering in waiting:
        gathering.cancel()

    for earliest in asyncio.as_completed([_plain(n) for n in range(width // 4)]):
        seen.append(str(await earliest))

    try:
        async with asyncio.TaskGroup() as group:
            for n in range(width // 4):
                group.create_task(sleep(100 + n))
            group.create_task(_fail_soon())
    except* LookupError:
        seen.append("group failed")
    seen.append(str(listener.done()))
    listener.cancel()
    return seen


async def _fail_soon() -> None:
    await sleep(5)
    raise LookupError


def replay_text(text: str) -> str:
    """What an execution decides, fact by fact, among the litter of other objects."""
    events = load_events(text)
    litter: list[Any] = []
    execution = Execution("run-1", everything, Chance(0.5))
    decisions: list[Decision] = []
    for event in events:
        litter += [{"litter": [n]} for n in range(_random.randint(1, 50))]
        del litter[:: _random.randint(2, 5)]
        if isinstance(event, Fact):
            decisions += execution.apply(event, event.at)
    execution.dispose()
    gc.collect()
    checked = Execution("run-1", everything, Chance(0.5))
    checked.replay(events)
    checked.dispose()
    return dump_events(decisions)


def main() -> None:
    sys.stdout.write(replay_text(sys.stdin.read()))
