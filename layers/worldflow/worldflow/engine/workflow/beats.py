"""Hooks with a `heartbeat_timeout`: a wait for a value ends if neither a value nor a heartbeat arrives in time.

A heartbeat is an item, not an event. When the time is over, the workflow reads the last heartbeat and waits until the
timeout after that.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from worldflow.engine.durations import Duration, seconds, spoken
from worldflow.engine.errors import HookTimeoutError
from worldflow.engine.history import HookResumed
from worldflow.engine.workflow.mailbox import Mailbox
from worldflow.engine.workflow.own_steps import BEAT
from worldflow.engine.workflow.run import Run

LONGEST = timedelta(days=30)
"""The maximum. The items of heartbeats are kept a little longer."""


def read_timeout(timeout: Duration | None) -> float | None:
    """A `heartbeat_timeout` in seconds. Raises `ValueError`."""
    length = None if timeout is None else seconds(timeout)
    if length is not None and not 0 < length <= LONGEST.total_seconds():
        raise ValueError(f"heartbeat_timeout must be more than zero and at most {LONGEST.days} days, not {timeout!r}")
    return length


async def received(
    run: Run, hook_id: str, token: str, mail: Mailbox[HookResumed], timeout: float | None
) -> HookResumed:
    """The next value for a hook. Raises `HookTimeoutError`."""
    if timeout is None:
        return await mail.get()
    limit = timedelta(seconds=timeout)
    due = run.now() + limit
    while True:
        try:
            async with asyncio.timeout_at(due.timestamp()):
                return await mail.get()
        except TimeoutError:
            beat = await run.call_step(BEAT, (run.run_id, hook_id), {})
        due = datetime.fromisoformat(beat) + limit if beat else run.now()
        if due <= run.now():
            if mail.unread():
                return await mail.get()
            problem = f"nobody has reported for {spoken(timeout)} to the hook {token!r}"
            raise HookTimeoutError(problem, token)
