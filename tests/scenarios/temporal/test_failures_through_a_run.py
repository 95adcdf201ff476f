"""A failure with a cause, raised in a step: what the workflow raises of it, and what the record keeps."""

from tests.support.scenarios import Env
from worldflow import FatalError, RunFailedError, step, workflow


async def test_message_type_and_cause(env: Env) -> None:
    @step
    async def fail() -> None:
        try:
            raise ValueError("the cause error")
        except ValueError as error:
            raise FatalError("main error") from error

    @workflow
    async def failing() -> None:
        await fail()

    run = await env.start(failing)
    error = await run.failure()

    assert (type(error), str(error)) == (FatalError, "main error")
    assert repr(error.__cause__) == "ValueError('the cause error')"
    kept = env.world.read_run(run.id).error
    assert kept is not None
    assert (kept.type, kept.message) == ("worldflow.engine.errors:FatalError", "main error")


async def test_the_step_and_the_run_are_told_apart(env: Env) -> None:
    @step
    async def fail() -> None:
        raise FatalError("in the step")

    @workflow
    async def failing() -> None:
        try:
            await fail()
        except FatalError as error:
            raise LookupError("in the workflow") from error

    run = await env.start(failing)
    try:
        await run.result()
    except RunFailedError as failed:
        chain = [failed.__cause__, failed.__cause__ and failed.__cause__.__cause__]
    else:
        chain = []

    assert [repr(error) for error in chain] == ["LookupError('in the workflow')", "FatalError('in the step')"]
