"""A replay follows the history, whatever a step or child is called with now. A test fails of other arguments; in
production they are a warning.
"""

import asyncio
import itertools
import math
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

import worldflow
from worldflow import RunBlockedError, sleep, step, workflow
from worldflow.runtime.orchestrator import Orchestrator
from worldflow.serving.worker import Worker
from worldflow.testing import WorkflowEnvironment


@step
async def bill(amount: int, key: str = "") -> int:
    return amount


@step(inline=True)
async def jot_down(values: Any) -> None: ...


@workflow
async def hand_over(key: str) -> str:
    return key


COUNTER = itertools.count()


@workflow
async def counts_up() -> None:
    await bill(next(COUNTER))
    await sleep("1d")


@workflow
async def draws_a_key() -> None:
    await bill(5, key=str(uuid.uuid4()))
    await sleep("1d")


@workflow
async def draws_inline() -> None:
    await jot_down({"key": str(uuid.uuid4())})
    await sleep("1d")


@workflow
async def draws_for_a_child() -> None:
    await hand_over(str(uuid.uuid4()))
    await sleep("1d")


@workflow
async def draws_for_one_that_it_leaves() -> None:
    await asyncio.gather(bill(1), bill(2, str(uuid.uuid4())), bill(3))


@pytest.mark.parametrize(
    ("flow", "call", "argument"),
    [
        (counts_up, "step 'bill'", "amount"),
        (draws_a_key, "step 'bill'", "key"),
        (draws_inline, "step 'jot_down'", "values"),
        (draws_for_a_child, "workflow 'hand_over'", "key"),
        (draws_for_one_that_it_leaves, "step 'bill'", "key"),
    ],
)
async def test_a_test_fails_and_names_the_call(flow, call, argument):
    place = f"{__file__}:{flow.function.__code__.co_firstlineno + 2}"
    async with WorkflowEnvironment() as env:
        run = await env.start(flow)
        with pytest.raises(RunBlockedError, match=f"{call} was called at {place} with a different {argument} than"):
            await run.result()


@dataclass
class Parcel:
    weight: float
    tags: set[str]


@step
async def wrap_up(parcel: Parcel, tags: set[str]) -> None: ...


@workflow
async def means_the_same() -> str:
    await jot_down(math.nan)
    await jot_down({"limit": math.inf, "none": math.nan})
    tags = {str(number) for number in range(100)}
    await wrap_up(Parcel(math.nan, tags), tags)
    await bill(5, key=str(worldflow.uuid4()))
    await bill(amount=6)
    await sleep("1d")
    return "done"


async def test_what_means_the_same_is_no_difference():
    async with WorkflowEnvironment() as env:
        assert await (await env.start(means_the_same)).result() == "done"


@pytest.mark.parametrize("flow", [draws_a_key, draws_for_a_child])
async def test_production_warns_and_goes_on(flow, caplog):
    async with WorkflowEnvironment() as env:
        env._worker = Worker(env.world, live_limit=0)  # as it is in production
        assert await (await env.start(flow)).result() is None
    warnings = {record.getMessage() for record in caplog.records if record.levelname == "WARNING"}
    (warning,) = warnings
    assert warning.startswith("the replay of run test-1 differs from its history: event 2: ")
    assert "with a different key than in the history" in warning


BROKEN: set[str] = set()


@step(retry=worldflow.RetryPolicy(max_attempts=1))
async def breaks_at_first(key: str) -> str:
    if key in BROKEN:
        BROKEN.remove(key)
        raise ValueError("not yet")
    return key


@workflow
async def names_itself() -> list[str]:
    run_id = worldflow.workflow_info().run_id
    keys = [await breaks_at_first(run_id)]
    await sleep("1d")
    keys.append(await breaks_at_first(f"{run_id} again"))
    await sleep("1d")
    return keys


async def test_a_run_that_is_retried_has_another_id_than_the_calls_that_it_takes_over():
    BROKEN.add("test-1 again")
    async with WorkflowEnvironment() as env:
        run = await env.start(names_itself)
        with pytest.raises(worldflow.RunFailedError):
            await run.result()
        await run.retry()
        assert await run.result() == ["test-1", "test-1 again"]
        assert set() == BROKEN


async def test_a_fork_has_another_id_than_the_calls_that_it_takes_over():
    async with WorkflowEnvironment() as env:
        run = await env.start(names_itself)
        await Orchestrator(env.world).fork(run.id, "other", after=(await run.events())[2].seq)
        await env.settle()
        assert await env.run("other").result() == ["test-1", "other again"]
