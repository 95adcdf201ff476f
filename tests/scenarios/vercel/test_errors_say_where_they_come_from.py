"""Errors of workflows and steps keep type, message, cause and the way that they took."""

from tests.scenarios.vercel.raising import HelperError, raise_deep
from tests.support.scenarios import Env
from worldflow import RetryPolicy, step, workflow
from worldflow.engine.history import RunFailed, StepFailed

ONCE = RetryPolicy(max_attempts=1)


def outer() -> None:
    inner()


def inner() -> None:
    raise ValueError("nested workflow error")


async def test_an_error_of_a_workflow_from_nested_calls(env: Env) -> None:
    @workflow
    async def nested() -> None:
        outer()

    run = await env.start(nested)
    failure = await run.failure()

    assert (type(failure), str(failure)) == (ValueError, "nested workflow error")
    (failed,) = await run.found(RunFailed)
    for name in ("in nested", "in outer", "in inner", __file__):
        assert name in failed.error.traceback


async def test_an_error_of_a_workflow_from_another_file(env: Env) -> None:
    @workflow
    async def across_files() -> None:
        raise_deep()

    run = await env.start(across_files)
    failure = await run.failure()

    assert isinstance(failure, HelperError)
    assert failure.code == 7
    (failed,) = await run.found(RunFailed)
    assert "raising.py" in failed.error.traceback
    assert failed.error.traceback.count("in raise_deep") == 3


async def test_an_error_of_a_step_is_caught_as_what_it_is(env: Env) -> None:
    @step(retry=ONCE)
    async def raises() -> None:
        raise_deep()

    @workflow
    async def catching() -> list[object]:
        try:
            await raises()
        except HelperError as error:
            return [str(error), error.code]
        return []

    run = await env.start(catching)

    assert await run.result() == ["error from a helper", 7]
    (failed,) = await run.found(StepFailed)
    assert "raising.py" in failed.error.traceback
    assert "in raises" in failed.error.traceback


async def test_causes_survive_from_step_to_caller(env: Env) -> None:
    @step(retry=ONCE)
    async def connects() -> None:
        try:
            raise_deep()
        except HelperError as error:
            raise ConnectionError("no connection") from error

    @workflow
    async def wrapping() -> None:
        try:
            await connects()
        except ConnectionError as error:
            raise RuntimeError("the workflow gave up") from error

    failure = await (await env.start(wrapping)).failure()

    assert type(failure) is RuntimeError
    assert type(failure.__cause__) is ConnectionError
    assert isinstance(failure.__cause__.__cause__, HelperError)
    assert failure.__cause__.__cause__.code == 7


async def test_an_error_is_the_same_after_a_restart(env: Env) -> None:
    seen = []

    @step(retry=ONCE)
    async def raises() -> None:
        raise_deep()

    @step
    async def nothing() -> None: ...

    @workflow
    async def remembers() -> None:
        try:
            await raises()
        except HelperError as error:
            seen.append((type(error), error.args, error.code, str(error)))
        await nothing()
        await nothing()

    await env.run(remembers)

    assert len(set(seen)) == 1
