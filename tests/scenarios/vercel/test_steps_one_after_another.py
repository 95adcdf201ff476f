"""A chain of steps, each with the result of the one before."""

from tests.support.scenarios import Env
from worldflow import step, workflow


async def test_add_ten(env: Env) -> None:
    @step
    async def add(a: int, b: int) -> int:
        return a + b

    @workflow
    async def add_ten(number: int) -> int:
        for more in (2, 3, 5):
            number = await add(number, more)
        return number

    run = await env.start(add_ten, 123)

    assert await run.result() == 133
    assert await run.steps() == ["add", "add", "add"]
    record = env.world.read_run(run.id)
    assert (record.status, record.workflow_name, record.input, record.result) == (
        "completed",
        "add_ten",
        {"number": 123},
        133,
    )
