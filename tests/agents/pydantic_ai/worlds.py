"""Where the agents of these tests run: in a test environment, and in processes that forget everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from tests.support.clock import start
from worldflow.engine.durations import seconds
from worldflow.engine.history import Event, StepScheduled
from worldflow.runtime import sending, starting, webhooks
from worldflow.runtime.outcomes import outcome
from worldflow.serving.worker import Worker
from worldflow.testing import TestRun, WorkflowEnvironment
from worldflow.worlds import LocalWorld, World

TURNS_LIMIT = 2_000
"""More than any test takes."""


class Runs(Protocol):
    """Runs of workflows somewhere."""

    world: World

    async def start(self, workflow: Any, *args: Any, **kwargs: Any) -> str:
        """Starts a run, and lets it go as far as it can. Returns its id."""

    async def signal(self, run_id: str, name: str, value: Any = None) -> None: ...

    async def resume(self, token: str, value: Any) -> None:
        """Sends a value to a hook."""

    async def result(self, run_id: str) -> Any:
        """What the run returns in the end; raises what it raises. Lets time pass."""

    async def advance(self, duration: str) -> None: ...


class InEnvironment:
    def __init__(self) -> None:
        self.env = WorkflowEnvironment()
        self.world = self.env.world

    async def start(self, workflow: Any, *args: Any, **kwargs: Any) -> str:
        run: TestRun[Any] = await self.env.start(workflow, *args, **kwargs)
        return run.id

    async def signal(self, run_id: str, name: str, value: Any = None) -> None:
        await self.env.run(run_id).signal(name, value)

    async def resume(self, token: str, value: Any) -> None:
        await self.env.resume_hook(token, value)

    async def result(self, run_id: str) -> Any:
        return await self.env.run(run_id).result()

    async def advance(self, duration: str) -> None:
        await self.env.advance(duration)


class Forgetful:
    """A file, and processes of which none sees a second turn."""

    def __init__(self, path: str) -> None:
        self._now = start()
        self.world = LocalWorld(path, clock=self._tick, webhook_url="https://example.test/webhooks")
        self._count = 0
        self._worker = self._new()

    def _tick(self) -> datetime:
        self._now += timedelta(milliseconds=1)
        return self._now

    def _new(self) -> Worker:
        return Worker(self.world, live_limit=0, strict=True)

    async def start(self, workflow: Any, *args: Any, **kwargs: Any) -> str:
        self._count += 1
        run_id = f"run-{self._count}"
        starting.start(self.world, run_id, workflow, workflow.input(*args, **kwargs))
        await self._settle()
        return run_id

    async def signal(self, run_id: str, name: str, value: Any = None) -> None:
        sending.signal(self.world, run_id, name, value, signal_id=None)
        await self._settle()

    async def resume(self, token: str, value: Any) -> None:
        webhooks.resume_hook(self.world, token, value)
        await self._settle()

    async def result(self, run_id: str) -> Any:
        await self._settle()
        for _ in range(TURNS_LIMIT):
            record = self.world.read_run(run_id)
            if record.ended or record.status == "blocked":
                return outcome(record)
            due = self.world.next_due()
            assert due, f"run {run_id!r} waits for something that never arrives"
            self._now = max(self._now, due)
            await self._settle()
        raise AssertionError(f"run {run_id!r} does not end")

    async def advance(self, duration: str) -> None:
        until = self._now + timedelta(seconds=seconds(duration))
        await self._settle()
        while (due := self.world.next_due()) and due <= until:
            self._now = max(self._now, due)
            await self._settle()
        self._now = until

    async def _settle(self) -> None:
        for _ in range(TURNS_LIMIT):
            busy = self._worker.busy
            happened = await self._worker.work()
            if self._worker.busy:
                await self._worker.pause(0.01)
            elif happened or busy:
                await self._worker.leave()
                self._worker.close()
                self._worker = self._new()
            else:
                return
        raise AssertionError("the system does not come to rest")

    async def close(self) -> None:
        await self._worker.leave()
        self._worker.close()
        self.world.close()


def events(runs: Runs, run_id: str) -> list[Event]:
    return list(runs.world.read_events(run_id))


def steps(runs: Runs, run_id: str) -> list[StepScheduled]:
    return [event for event in events(runs, run_id) if isinstance(event, StepScheduled)]


def names(runs: Runs, run_id: str) -> list[str]:
    """The names of the run's steps, in the order in which they were called."""
    return [step.name for step in steps(runs, run_id)]


async def gathered(alive: list[Any], count: int, found: Callable[[], object] = lambda: None) -> None:
    """Waits until so many are at work at the same time."""
    alive.append(None)
    for _ in range(20_000):
        if len(alive) >= count:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"{len(alive)} of {count} are at work")
