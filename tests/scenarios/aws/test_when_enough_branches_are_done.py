"""Policies of completion, in asyncio's words: all of them, the first, so many of them, all but so many."""

import asyncio

from tests.support.scenarios import Env
from worldflow import RetryableError, RetryPolicy, sleep, step, step_info, workflow


class Broken(Exception):
    pass


@step(name="branch_of_enough", retry=RetryPolicy(max_attempts=2))
async def branch(seconds: int, fails: bool = False) -> int:
    """Done after so many seconds."""
    if seconds and step_info().attempt == 1:
        raise RetryableError("later", retry_after=seconds)
    if fails:
        raise Broken(seconds)
    return seconds


async def test_all_must_succeed(env: Env) -> None:
    @workflow
    async def strict() -> list[int]:
        return await asyncio.gather(branch(10), branch(0, fails=True), branch(20))

    run = await env.start(strict)
    await env.advance("5s")

    assert await run.status() == "failed"  # long before the others are done
    assert isinstance(await run.failure(), Broken)


async def test_all_in_a_task_group_or_none(env: Env) -> None:
    @workflow
    async def strict() -> list[str]:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(branch(10))
                group.create_task(branch(0, fails=True))
        except* Broken as broken:
            errors = [repr(error) for error in broken.exceptions]
        return errors

    run = await env.start(strict)

    assert await run.result() == ["Broken(0)"]
    assert "StepAbandoned" in await run.kinds()


async def test_all_must_be_done_whatever_comes_of_them(env: Env) -> None:
    @workflow
    async def lenient() -> list[str]:
        done = await asyncio.gather(branch(10), branch(0, fails=True), branch(5), return_exceptions=True)
        return [repr(outcome) for outcome in done]

    assert await env.run(lenient) == ["10", "Broken(0)", "5"]


async def test_the_first_wins_and_the_others_are_let_go(env: Env) -> None:
    @workflow
    async def racing() -> int:
        tasks = [asyncio.create_task(branch(seconds)) for seconds in (30, 10, 20)]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.wait(pending)
        await sleep("1s")
        return done.pop().result()

    run = await env.start(racing)
    await env.advance("15s")

    assert await run.status() == "completed"
    assert await run.result() == 10
    assert (await run.kinds()).count("StepAbandoned") == 2


async def test_the_first_that_succeeds(env: Env) -> None:
    @workflow
    async def racing() -> int:
        for outcome in asyncio.as_completed([branch(30), branch(0, fails=True), branch(10)]):
            try:
                return await outcome
            except Broken:
                continue
        raise Broken("all")

    run = await env.start(racing)
    await env.advance("15s")

    assert await run.result() == 10


async def test_two_of_four(env: Env) -> None:
    @workflow
    async def quorum() -> list[int]:
        votes: list[int] = []
        for outcome in asyncio.as_completed([branch(seconds) for seconds in (40, 10, 30, 20)]):
            votes.append(await outcome)
            if len(votes) == 2:
                break
        return votes

    run = await env.start(quorum)
    await env.advance("25s")

    assert await run.status() == "completed"
    assert await run.result() == [10, 20]


async def test_one_failure_is_tolerated(env: Env) -> None:
    assert await env.run(tolerating_one(), [True, False, False]) == "2 of 3"


async def test_two_failures_are_not(env: Env) -> None:
    run = await env.start(tolerating_one(), [True, False, True, False])

    error = await run.failure()

    assert isinstance(error, Broken)
    assert error.args == ("2 of 4 failed",)


def tolerating_one():  # type: ignore[no-untyped-def]
    @workflow
    async def tolerant(failures: list[bool]) -> str:
        tasks = [asyncio.create_task(branch(n, fails)) for n, fails in enumerate(failures)]
        failed = 0
        for outcome in asyncio.as_completed(tasks):
            try:
                await outcome
            except Broken:
                failed += 1
            if failed > 1:
                raise Broken(f"{failed} of {len(failures)} failed")
        return f"{len(failures) - failed} of {len(failures)}"

    return tolerant


async def test_half_may_fail(env: Env) -> None:
    @workflow
    async def tolerant(failures: list[bool]) -> float:
        outcomes = await asyncio.gather(*(branch(0, fails) for fails in failures), return_exceptions=True)
        broken = [outcome for outcome in outcomes if isinstance(outcome, Broken)]
        if len(broken) > len(failures) / 2:
            raise ExceptionGroup("too many", broken)
        return len(broken) / len(failures)

    assert await env.run(tolerant, [True, False, True, False]) == 0.5
    run = await env.start(tolerant, [True, True, True, False])
    error = await run.failure()
    assert isinstance(error, ExceptionGroup)
    assert [type(one) for one in error.exceptions] == [Broken] * 3
