"""`continue_as_new` takes the input that type checkers have compared with the workflow."""

from worldflow import continue_as_new, workflow
from worldflow.testing import WorkflowEnvironment


@workflow(name="typed_countdown")
async def countdown(left: int, passed: list[int]) -> list[int]:
    if left:
        continue_as_new(**countdown.input(left - 1, passed=[*passed, left]))
    return passed


async def test_the_next_generation_has_the_input() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(countdown, 2, [])
        assert await run.result() == [2, 1]
