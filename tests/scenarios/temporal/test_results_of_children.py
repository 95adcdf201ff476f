"""What a parent sees of its child: the result, the exception, the end by force, the end of its time."""

import asyncio

from tests.support.scenarios import Env
from worldflow import RunCancelledError, sleep, wait_for_signal, workflow


class Unwell(Exception):
    pass


async def test_a_result(env: Env) -> None:
    @workflow
    async def child(text: str) -> str:
        await sleep("1s")
        return text.upper()

    @workflow
    async def parent() -> str:
        return await child("hello")

    run = await env.start(parent)

    assert await run.result() == "HELLO"
    assert "ChildCompleted" in await run.kinds()


async def test_an_exception(env: Env) -> None:
    @workflow
    async def child() -> None:
        raise Unwell("a cold")

    @workflow
    async def parent() -> str:
        try:
            await child()
        except Unwell as error:
            return str(error)
        return "well"

    run = await env.start(parent)

    assert await run.result() == "a cold"
    assert "ChildFailed" in await run.kinds()


async def test_a_child_that_was_terminated(env: Env) -> None:
    @workflow
    async def child() -> None:
        await wait_for_signal("never")

    @workflow
    async def parent() -> str:
        try:
            await child()
        except RunCancelledError:
            return "it was stopped"
        return "it ended"

    run = await env.start(parent)
    await env.drive(env.orchestrator.terminate(f"{run.id}~c1", "enough"))

    assert await run.result() == "it was stopped"


async def test_a_child_that_was_cancelled(env: Env) -> None:
    @workflow
    async def child() -> None:
        await wait_for_signal("never")

    @workflow
    async def parent() -> str:
        try:
            await child()
        except RunCancelledError:
            return "it was cancelled"
        return "it ended"

    run = await env.start(parent)
    await env.handle(f"{run.id}~c1").cancel()

    assert await run.result() == "it was cancelled"
    assert await env.handle(f"{run.id}~c1").status() == "cancelled"


async def test_a_child_that_takes_longer_than_it_may(env: Env) -> None:
    @workflow(timeout="1m")
    async def child() -> None:
        await sleep("1h")

    @workflow
    async def parent() -> str:
        try:
            await child()
        except TimeoutError:
            return "too long"
        return "in time"

    run = await env.start(parent)
    await env.advance("2m")

    assert await run.status() == "completed"
    assert await run.result() == "too long"


async def test_a_handle_on_a_child_is_a_task(env: Env) -> None:
    @workflow
    async def child(number: int) -> int:
        await sleep(number)
        return number

    @workflow
    async def parent() -> list[int]:
        first, second = asyncio.create_task(child(20)), asyncio.create_task(child(10))
        await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        done_first = [second.result() if second.done() else 0]
        return [*done_first, await first]

    assert await env.run(parent) == [10, 20]


async def test_an_id_of_its_own(env: Env) -> None:
    @workflow
    async def child() -> str:
        return "named"

    @workflow
    async def parent() -> str:
        return await child.options(run_id="the-child")()

    assert await env.run(parent) == "named"
    assert await env.handle("the-child").result() == "named"


async def test_an_id_that_is_somebody_elses(env: Env) -> None:
    @workflow
    async def child() -> str:
        return "mine"

    @workflow
    async def parent() -> str:
        try:
            return await child.options(run_id="taken")()
        except Exception as error:
            return type(error).__name__

    await env.start_as("taken", child)

    assert await env.run(parent) == "RunExistsError"
