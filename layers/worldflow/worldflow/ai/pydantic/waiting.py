"""Where an agent waits for something outside: what Pydantic AI calls an external event, such as the answer that
`RequestInput` waits for, is a hook. Pydantic AI has external events from 2.68 on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

from pydantic_ai import durable_exec

import worldflow
from worldflow.engine.durations import spoken
from worldflow.engine.history import Json

_scope: Any = getattr(durable_exec, "external_event_scope", None)
_external_event_error: Any = getattr(durable_exec, "ExternalEventError", None)

Ask = Callable[[str], Awaitable[Json]]

Run = Callable[[Ask, str], Awaitable[Json]]
"""Calls what asks with a token, in a step."""


class HookWaiter:
    """Waits for external events by hooks. `resume_hook` with the token ends the wait."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def wait(self, name: str, *, ask: Ask, timeout: timedelta | None) -> Json:
        with worldflow.create_hook(Any, metadata={"event": name}) as hook:
            answer = await self._run(ask, hook.token)
            if answer is not None:
                return answer
            limit: Any = nullcontext() if timeout is None else asyncio.timeout(timeout.total_seconds())
            try:
                async with limit:
                    return await hook
            except TimeoutError:
                assert timeout is not None
                problem = f"nothing has resumed the hook within {spoken(timeout.total_seconds())}"
                raise _external_event_error(problem) from None


def waiting_by_hooks(run: Run) -> AbstractContextManager[object]:
    """Within it, agents wait for external events by hooks."""
    return nullcontext() if _scope is None else _scope(HookWaiter(run))
