"""What is asked once, and not again on a replay, decides nothing: `retry_if`, and the text of a step's exception."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.driver import Drive
from worldflow import RetryPolicy, random, set_status, step, uuid4, workflow
from worldflow.engine.errors import StepError

ASKED: dict[str, Callable[[], object]] = {
    "a status": lambda: set_status("retrying"),
    "chance": lambda: random().random(),
    "a task": lambda: asyncio.ensure_future(asyncio.sleep(0)),
}


@pytest.mark.filterwarnings("ignore:coroutine 'sleep' was never awaited:RuntimeWarning")
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_retry_if(drive: Drive, ask: Callable[[], object]) -> None:
    def again(error: BaseException) -> bool:
        try:
            ask()
        except Exception:
            return True
        return True

    @step(name="flaky", retry=RetryPolicy(max_attempts=3, retry_if=again))
    async def flaky(item: Any = None) -> Any: ...

    @workflow
    async def tries() -> str:
        await flaky()
        return str(uuid4())

    run = drive(tries)
    run.fail(flaky, ValueError("no"), retryable=True)
    assert run.decided == ["StepRetryScheduled"]
    run.complete(flaky)
    assert run.all_decided == ["StepScheduled s1 flaky", "StepRetryScheduled", "RunCompleted"]


class Chatty(Exception):
    def __str__(self) -> str:
        try:
            set_status("read")
        except Exception:
            return "chatty"
        return "chatty"


def test_the_text_of_an_exception(drive: Drive) -> None:
    @step(name="talks", retry=RetryPolicy(max_attempts=1))
    async def talks() -> None: ...

    @workflow
    async def listens() -> str:
        try:
            await talks()
        except (Chatty, StepError) as error:
            return type(error).__name__
        return ""

    run = drive(listens)
    run.fail(talks, Chatty())
    assert run.all_decided == ["StepScheduled s1 talks", "RunCompleted"]
