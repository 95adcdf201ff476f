"""Whole scenarios, told as an application would tell them: start runs, signal them, let time pass, await results.

    async def test_a_parcel(env: Env) -> None:
        run = await env.start(fulfil_order, order)
        await run.signal("approval", Approval(approved=True, by="Grace"))
        await env.advance("3s")
        assert (await run.result()).tracking

A system (see `systems.py`) does nothing by itself. Here each call lets it do all that it can do without time passing,
and `result` lets time pass until the run has ended.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from tests.support.systems import TURNS_LIMIT, System
from worldflow.engine.durations import Duration, seconds
from worldflow.engine.history import Decision, Event
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import Orchestrator
from worldflow.runtime.run_handle import RunHandle

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Env:
    """A system, and an application that uses it."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.world = system.world
        self.orchestrator = Orchestrator(system.world)
        self._ids = itertools.count(1)

    # --- runs ---

    async def start(self, workflow: Workflow[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Run:
        """Starts a run with these arguments. It goes as far as it can without time passing."""
        return await self.start_as(f"run-{next(self._ids)}", workflow, *args, **kwargs)

    async def start_as(self, run_id: str, workflow: Workflow[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Run:
        """`start`, with an id of the test's own."""
        arguments = workflow.input(*args, **kwargs)
        await self.drive(self.orchestrator.start_workflow(run_id, workflow, arguments))
        return self.handle(run_id)

    async def run(self, workflow: Workflow[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """The result of a run with these arguments."""
        return await (await self.start(workflow, *args, **kwargs)).result()

    def handle(self, run_id: str) -> Run:
        return Run(self, run_id)

    async def resume_hook(self, token: str, value: Any = None, *, resume_id: str | None = None) -> None:
        """Sends a value to whoever holds the hook, and lets it be dealt with."""
        await self.drive(self.orchestrator.resume_hook(token, value, resume_id=resume_id))

    async def drive(self, request: Awaitable[T]) -> T:
        """What a request to the orchestrator answers, however much has to happen for that without time passing."""
        asking = asyncio.ensure_future(request)
        while not asking.done():
            await asyncio.wait([asking], timeout=0.01)
            await self.settle()
        await self.settle()
        return asking.result()

    # --- time ---

    def now(self) -> datetime:
        return self.system.clock.now()

    async def settle(self) -> None:
        """Lets everything happen that can happen now."""
        await asyncio.to_thread(self.system.settle)

    async def skip(self, until: datetime | None = None) -> bool:
        """Goes on to the next moment at which something is due, unless it is after `until`. Returns whether it did."""
        due = await asyncio.to_thread(self.system.next_due)
        if due is None or (until and due > until):
            return False
        self.system.clock.forward(due)
        await self.settle()
        return True

    async def advance(self, duration: Duration) -> None:
        """Lets time pass, from one thing that happens to the next."""
        until = self.now() + timedelta(seconds=seconds(duration))
        while await self.skip(until):
            pass
        self.system.clock.forward(until)

    async def restart(self) -> None:
        """Forgets what processes remember, as if all of them had died."""
        await asyncio.to_thread(self.system.restart)


class Run(RunHandle):
    """A run, whose requests have been dealt with when their calls return."""

    def __init__(self, env: Env, run_id: str) -> None:
        super().__init__(env.world, run_id)
        self._env = env
        self._skips = 0

    async def signal(self, name: str, value: Any = None, *, signal_id: str | None = None) -> str:
        return await self._env.drive(super().signal(name, value, signal_id=signal_id))

    async def cancel(self, reason: str | None = None) -> None:
        await self._env.drive(super().cancel(reason))

    async def failure(self) -> BaseException:
        """The exception that the workflow raised."""
        try:
            value = await self.result()
        except BaseException as error:
            assert error.__cause__ is not None, error
            return error.__cause__
        raise AssertionError(f"run {self.id!r} did not fail, and returned {value!r}")

    async def kinds(self) -> list[str]:
        """The types of its events, in order."""
        return [event.event_type for event in await self.events()]

    async def decided(self) -> list[str]:
        """Its decisions, in order: kind, id and name."""
        return [" ".join(filter(None, event.identity)) for event in await self.events() if isinstance(event, Decision)]

    async def found(self, kind: type[T]) -> list[T]:
        """Its events of one class."""
        return [event for event in await self.events() if isinstance(event, kind)]

    async def steps(self) -> list[str]:
        """The names of the steps that it asked for, in order."""
        return [_name(event) for event in await self.events() if event.event_type == "StepScheduled"]

    async def _pause(self, seconds: float) -> None:
        self._skips += 1
        assert self._skips < TURNS_LIMIT, f"run {self.id!r} does not end"
        assert await self._env.skip(), f"run {self.id!r} waits for something that never arrives; a signal, perhaps?"


def _name(event: Event) -> str:
    name: str = event.payload["name"]
    return name
