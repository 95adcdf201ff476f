"""Workflows that write streams."""

from __future__ import annotations

from typing import Any

from worldflow import RetryPolicy, open_stream, step, step_info, wait_for_signal, workflow


@step(name="tell_by_a_stream", retry=RetryPolicy(initial_interval="1s", jitter=0))
async def tell(values: list[Any], fail_after: int | None = None) -> int:
    """Writes values, and fails at the first attempt after so many of them."""
    async with open_stream("told") as out:
        for number, value in enumerate(values):
            if number == fail_after and step_info().attempt == 1:
                raise ConnectionError("the line is bad")
            await out.write(value)
    return len(values)


@workflow
async def tells(values: list[Any], fail_after: int | None = None, waits: bool = False) -> int:
    """waits: for the signal `go`, before it ends."""
    open_stream("progress").write("begun")
    number = await tell(values, fail_after)
    if waits:
        await wait_for_signal("go")
    return number
