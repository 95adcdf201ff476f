"""A function that dies after the step ran, and before its outcome is stored: the step is at least once."""

import pytest

from tests.support.scenarios import Env
from worldflow import step, step_info, workflow
from worldflow.worlds import LocalWorld, World, ledger
from worldflow.worlds.messages import StepOutcome


async def test_the_step_runs_again_with_the_same_key(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str] = []

    @step
    async def charge() -> str:
        keys.append(step_info().idempotency_key)
        return "paid"

    @workflow
    async def paying() -> str:
        return await charge()

    die_once_before_the_outcome(env, monkeypatch)
    run = await env.start(paying)

    assert await run.result() == "paid"
    assert len(keys) == 2
    assert len(set(keys)) == 1


async def test_its_second_run_is_the_same_attempt(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    @step
    async def attempt() -> int:
        return step_info().attempt

    @workflow
    async def attempting() -> int:
        return await attempt()

    die_once_before_the_outcome(env, monkeypatch)

    assert await env.run(attempting) == 1


def die_once_before_the_outcome(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    put_outcome = ledger.put_outcome
    # A worker whose outcomes cannot be recorded together records them one by one, and so tries twice.
    deaths = iter([True] * (2 if isinstance(env.world, LocalWorld) else 1))

    def die(world: World, outcome: StepOutcome) -> StepOutcome:
        if next(deaths, False):
            raise RuntimeError("the function died")
        return put_outcome(world, outcome)

    monkeypatch.setattr(ledger, "put_outcome", die)
