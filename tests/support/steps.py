"""Steps for tests that drive runs by hand: nothing runs them."""

from typing import Any

from worldflow import RetryPolicy, step

NO_RETRY = RetryPolicy(max_attempts=1)


@step(retry=NO_RETRY)
async def work(item: Any = None) -> Any:
    raise AssertionError("a step ran in the workflow's process")


@step(retry=NO_RETRY)
def plain_work(item: Any = None) -> Any:
    raise AssertionError("a step ran in the workflow's process")
