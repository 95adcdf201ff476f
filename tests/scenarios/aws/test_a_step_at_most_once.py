"""A step that must never repeat: when its function dies under way, nobody knows whether it happened, and it is not run
again.
"""

import pytest

from tests.support.scenarios import Env
from worldflow import RetryPolicy, StepInterruptedError, sleep, step, workflow
from worldflow.worlds import LocalWorld, World, ledger
from worldflow.worlds.messages import StepOutcome


async def test_it_runs_once_and_returns(env: Env) -> None:
    ran: list[int] = []

    @step(guarantee="at_most_once")
    async def pay() -> str:
        ran.append(1)
        return "paid"

    @workflow
    async def paying() -> str:
        paid = await pay()
        await sleep("1s")
        return paid

    run = await env.start(paying)
    await env.restart()

    assert await run.result() == "paid"
    assert ran == [1]


async def test_an_interrupted_one_is_an_error_and_is_not_run_again(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []

    @step(guarantee="at_most_once")
    async def pay() -> None:
        ran.append(1)

    @workflow
    async def paying() -> None:
        await pay()

    die_once_before_the_outcome(env, monkeypatch)
    run = await env.start(paying)

    assert isinstance(await run.failure(), StepInterruptedError)
    assert ran == [1]


async def test_the_workflow_can_find_out_what_happened(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    booked: list[str] = []

    @step(guarantee="at_most_once")
    async def pay() -> str:
        booked.append("payment 1")
        return booked[-1]

    @step
    async def look_up() -> str | None:
        return booked[-1] if booked else None

    @workflow
    async def paying() -> str | None:
        try:
            return await pay()
        except StepInterruptedError:
            return await look_up()

    die_once_before_the_outcome(env, monkeypatch)

    assert await env.run(paying) == "payment 1"
    assert booked == ["payment 1"]


async def test_no_policy_makes_another_attempt_after_an_interrupted_one(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []

    @step(guarantee="at_most_once", retry=RetryPolicy(max_attempts=3))
    async def pay() -> None:
        ran.append(1)

    @workflow
    async def paying() -> None:
        await pay()

    die_once_before_the_outcome(env, monkeypatch)
    run = await env.start(paying)

    assert isinstance(await run.failure(), StepInterruptedError)
    assert ran == [1]


async def test_one_that_fails_has_one_attempt(env: Env) -> None:
    ran: list[int] = []

    @step(guarantee="at_most_once")
    async def pay() -> None:
        ran.append(1)
        raise ConnectionError("perhaps it was paid")

    @workflow
    async def paying() -> None:
        await pay()

    assert isinstance(await (await env.start(paying)).failure(), ConnectionError)
    assert ran == [1]


async def test_one_that_fails_has_more_attempts_when_it_asks_for_them(env: Env) -> None:
    ran: list[int] = []

    @step(guarantee="at_most_once", retry=RetryPolicy(max_attempts=3))
    async def pay() -> int:
        ran.append(1)
        if len(ran) < 3:
            raise ConnectionRefusedError("nothing was sent")
        return len(ran)

    @workflow
    async def paying() -> int:
        return await pay()

    assert await env.run(paying) == 3


def die_once_before_the_outcome(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    put_outcome = ledger.put_outcome
    # A worker whose outcomes cannot be recorded together records them one by one, and so tries twice.
    deaths = iter([True] * (2 if isinstance(env.world, LocalWorld) else 1))

    def die(world: World, outcome: StepOutcome) -> StepOutcome:
        if next(deaths, False):
            raise RuntimeError("the function died")
        return put_outcome(world, outcome)

    monkeypatch.setattr(ledger, "put_outcome", die)
