"""An exception may be false: `__len__` says how many errors are in it, say. It is an exception all the same."""

from typing import Any

import pytest

from worldflow import RetryPolicy, RunFailedError, StepError, publish, step, wait_for_signal, workflow
from worldflow.engine.history.failures import decode_exception, encode_exception
from worldflow.testing import WorkflowEnvironment


class Errors(Exception):
    def __len__(self) -> int:
        return 0


class Undecided(Exception):
    def __bool__(self) -> bool:
        raise LookupError("it will not say")


FALSE = (Errors, Undecided)


async def fails(error: str) -> None:
    raise {kind.__name__: kind for kind in FALSE}[error]("it failed")


def fails_plainly(error: str) -> None:
    raise {kind.__name__: kind for kind in FALSE}[error]("it failed")


ONCE = RetryPolicy(max_attempts=1)
STEPS: dict[str, Any] = {
    "queued": step(name="false_error_queued", retry=ONCE)(fails),
    "inline": step(name="false_error_inline", retry=ONCE, inline=True)(fails),
    "plain": step(name="false_error_plainly", retry=ONCE)(fails_plainly),
}


@workflow
async def has_a_false_error(how: str, error: str) -> str:
    await STEPS[how](error)
    return "completed"


@pytest.mark.parametrize("error", [kind.__name__ for kind in FALSE])
@pytest.mark.parametrize("how", STEPS)
async def test_of_a_step(how: str, error: str) -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(has_a_false_error, how, error)
        with pytest.raises(RunFailedError) as failed:
            await run.result()
    cause = failed.value.__cause__
    assert error in (type(cause).__name__, getattr(cause, "type_name", "").rpartition(":")[2])


@pytest.mark.parametrize("error", [kind.__name__ for kind in FALSE])
async def test_of_what_is_published(error: str) -> None:
    @workflow
    async def publishes() -> None:
        publish("answer", lambda: fails_plainly(error))
        await wait_for_signal("go")

    async with WorkflowEnvironment() as env:
        run = await env.start(publishes)
        with pytest.raises(FALSE):
            await run.query("answer")


@pytest.mark.parametrize("kind", FALSE)
def test_as_a_cause(kind: type[Exception]) -> None:
    try:
        raise ValueError("outer") from kind("inner")
    except ValueError as error:
        failure = encode_exception(error)

    cause = decode_exception(failure).__cause__
    assert isinstance(cause, (kind, StepError))  # which stands for what cannot be printed
    assert "inner" in str(cause)
