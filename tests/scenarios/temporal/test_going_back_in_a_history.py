"""A reset: a new run with the history of another up to a place, which goes on from there by itself."""

import pytest

from tests.support.scenarios import Env
from worldflow import InvalidInputError, RetryPolicy, step, wait_for_signal, workflow
from worldflow.engine.history import StepCompleted


async def test_steps_before_the_place_are_not_run_again(env: Env) -> None:
    ran: list[str] = []

    @step
    async def work(name: str) -> str:
        ran.append(name)
        return f"{name} {len(ran)}"

    @workflow
    async def working() -> list[str]:
        return [await work(name) for name in ("a", "b", "c")]

    run = await env.start(working)
    first = await run.result()
    ends = [event.seq for event in await run.found(StepCompleted)]
    fork = await env.drive(env.orchestrator.fork(run.id, "fork", after=ends[0]))

    assert fork.id == "fork"
    assert first == ["a 1", "b 2", "c 3"]
    assert await env.handle("fork").result() == ["a 1", "b 4", "c 5"]
    assert ran == ["a", "b", "c", "b", "c"]
    assert await run.result() == first  # the old run is as it was


async def test_signals_before_the_place_are_kept(env: Env) -> None:
    @workflow
    async def collecting() -> list[str]:
        return [await wait_for_signal("word", str) for _ in range(2)]

    run = await env.start(collecting)
    await run.signal("word", "kept")
    kept = (await run.events())[-1].seq
    await run.signal("word", "dropped")
    await env.drive(env.orchestrator.fork(run.id, "fork", after=kept))
    fork = env.handle("fork")
    assert await fork.status() == "running"
    await fork.signal("word", "another")

    assert await run.result() == ["kept", "dropped"]
    assert await fork.result() == ["kept", "another"]


async def test_a_failed_run_goes_on_from_its_failed_step(env: Env) -> None:
    ran: list[str] = []
    mended: list[bool] = []

    @step(retry=RetryPolicy(max_attempts=2))
    async def work(name: str) -> str:
        ran.append(name)
        if name == "b" and not mended:
            raise ConnectionError("no line")
        return name

    @workflow
    async def working() -> list[str]:
        return [await work(name) for name in ("a", "b", "c")]

    run = await env.start_as("r", working)
    assert isinstance(await run.failure(), ConnectionError)
    mended.append(True)
    await env.drive(env.orchestrator.retry("r"))

    assert await env.handle("r").result() == ["a", "b", "c"]
    assert await env.handle("r~2").result() == ["a", "b", "c"]
    assert ran == ["a", "b", "b", "b", "c"]


async def test_a_run_that_did_not_fail_is_not_retried(env: Env) -> None:
    @workflow
    async def working() -> str:
        return "done"

    run = await env.start(working)
    await run.result()

    with pytest.raises(InvalidInputError):
        await env.drive(env.orchestrator.retry(run.id))
