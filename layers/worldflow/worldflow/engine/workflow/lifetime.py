"""How long a run may take, and whether one that failed is started again.

A generation has its `timeout`. The `execution_timeout` is that of a run with all its generations and attempts, which
hand on when it is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, Protocol

from worldflow.engine import history as h
from worldflow.engine.durations import seconds, spoken
from worldflow.engine.history import Json
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.ids import next_generation
from worldflow.engine.workflow.retry import retry_after
from worldflow.engine.workflow.run import Run, WorkflowInfo


class Mail(Protocol):
    """What was sent to a run."""

    def break_off(self) -> None: ...
    def unread(self) -> Json: ...
    def seen(self) -> list[str]: ...


class Living(Run, Protocol):
    """What a `Lifetime` may use of the `Execution` that it belongs to."""

    started: h.RunStarted | None

    @property
    def mail(self) -> Mail: ...

    @property
    def info(self) -> WorkflowInfo: ...


class Lifetime:
    """The time limits of one execution."""

    def __init__(self, run: Living) -> None:
        self._run = run
        self._limit: asyncio.Timeout | None = None
        self._whole: asyncio.Timeout | None = None
        self.expires_at: datetime | None = None
        """When the time of all generations is over."""
        self._has_begun = False

    def within(self, started: h.RunStarted, call: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """The call of the workflow's function, with its limits."""
        self._has_begun = True
        self.expires_at = started.expires_at
        if started.execution_timeout is not None:
            self.expires_at = self.expires_at or self._run.due(started.execution_timeout)
        if started.timeout is not None:
            call = self._within(started.timeout, call)
        return call if self.expires_at is None else self._within_all(self.expires_at, started.execution_timeout, call)

    async def _within(self, timeout: float, call: Coroutine[Any, Any, Any]) -> Any:
        try:
            async with asyncio.timeout(timeout) as self._limit:
                return await call
        except TimeoutError:
            if self._limit is None or not self._limit.expired():
                raise
            raise TimeoutError(f"the workflow took longer than {spoken(timeout)}") from None

    async def _within_all(self, expires_at: datetime, timeout: float | None, call: Coroutine[Any, Any, Any]) -> Any:
        try:
            async with asyncio.timeout_at(expires_at.timestamp()) as self._whole:
                return await call
        except TimeoutError:
            if not self._is_over():
                raise
            longer = "" if timeout is None else f" than {spoken(timeout)}"
            raise TimeoutError(f"the workflow took longer{longer}, all generations together") from None

    def _is_over(self) -> bool:
        return self._whole is not None and self._whole.expired()

    def restart(self, started: h.RunStarted | None) -> None:
        """Begins to count anew."""
        run, now = self._run, self._run.now().timestamp()
        if started is None:
            return
        if (limit := self._limit) and (timeout := started.timeout) is not None and not limit.expired():
            run.loop.call(lambda: limit.reschedule(now + timeout))
        whole, all_time = self._whole, started.execution_timeout
        if whole and all_time is not None and not whole.expired():
            self.expires_at = run.due(all_time)
            run.loop.call(lambda: whole.reschedule(now + all_time))

    def retried(self, error: BaseException) -> h.RunContinued | None:
        """The next attempt of a run that fails with `error`, if there is to be one."""
        run, recorded, started = self._run, self._run.recorded.last, self._run.started
        if isinstance(recorded, h.RunContinued) and recorded.error:
            run.mail.break_off()
            return recorded
        if isinstance(recorded, h.RunFailed) or started is None:
            return None  # recorded by code that had another policy
        due = self._next_due(started, error)
        if due is None:
            return None
        run.mail.break_off()
        return h.RunContinued(
            next_run_id=next_generation(run.run_id),
            input=started.input,
            carried=run.mail.unread(),
            seen=run.mail.seen() or None,
            error=encode_exception(error),
            start_at=due,
            attempt=(started.attempt or 1) + 1,
            first_at=started.first_at or run.info.started_at,
            expires_at=self.expires_at,
        )

    def _next_due(self, started: h.RunStarted, error: BaseException) -> datetime | None:
        run, policy, attempt = self._run, self._run.workflow.starts.retry, started.attempt or 1
        if policy is None or not self._has_begun:
            return None
        if attempt >= policy.max_attempts or not policy.retries(error):
            return None
        wait = retry_after(error)
        due = run.due(policy.delay(attempt, run.jitter.random()) if wait is None else wait)
        if policy.total_time is not None:
            first_at = started.first_at or run.info.started_at
            if due > first_at + timedelta(seconds=seconds(policy.total_time)):
                return None
        return None if self.expires_at and due >= self.expires_at else due
