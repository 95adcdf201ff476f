"""One request that starts a run unless it is there, and signals it either way."""

from typing import Any

from tests.support.scenarios import Env
from worldflow import wait_for_signal, workflow
from worldflow.engine.workflow.definitions import Workflow


def listener() -> Workflow[..., Any]:
    @workflow
    async def listening(wanted: int) -> list[str]:
        return [await wait_for_signal("word", str) for _ in range(wanted)]

    return listening


async def test_a_run_that_is_not_there(env: Env) -> None:
    run = await env.drive(
        env.orchestrator.signal_with_start("s", listener(), {"wanted": 1}, signal="word", value="hello")
    )

    assert run.id == "s"
    assert await env.handle("s").result() == ["hello"]


async def test_a_run_that_is_there(env: Env) -> None:
    listening = listener()
    run = await env.start_as("s", listening, wanted=2)
    await run.signal("word", "first")
    await env.drive(env.orchestrator.signal_with_start("s", listening, {"wanted": 9}, signal="word", value="second"))

    assert await run.result() == ["first", "second"]
    assert (await run.kinds()).count("RunStarted") == 1


async def test_the_same_request_twice(env: Env) -> None:
    listening = listener()
    for _ in range(2):
        await env.drive(
            env.orchestrator.signal_with_start(
                "s", listening, {"wanted": 2}, signal="word", value="once", signal_id="one"
            )
        )
    run = env.handle("s")
    assert await run.status() == "running"
    await run.signal("word", "twice")

    assert await run.result() == ["once", "twice"]


async def test_many_at_once_make_one_run(env: Env) -> None:
    listening = listener()
    for number in range(3):
        await env.orchestrator.signal_with_start("s", listening, {"wanted": 3}, signal="word", value=str(number))
    await env.settle()

    assert await env.handle("s").result() == ["0", "1", "2"]
