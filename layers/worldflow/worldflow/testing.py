"""Testing workflows: an in-memory world whose clock skips.

    async with WorkflowEnvironment() as env:
        run = await env.start(fulfil_order, order)
        await env.advance("3d")
        await run.signal("approval", Approval(by="me"))
        assert (await run.result()).tracking

Nothing waits for time to pass: `result` jumps from timer to timer until the run has ended, and `advance` to a given
time. Steps run as they are, in the test's own process, so what they talk to is patched as in any other test.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ParamSpec, Self
from urllib.parse import parse_qsl, urlsplit
from weakref import WeakKeyDictionary

from typing_extensions import TypeVar

from worldflow import audit, clock
from worldflow.engine.durations import Duration, seconds, spoken
from worldflow.engine.history import HookConflicted, HookCreated, HookDisposed, Json, RunStarted
from worldflow.engine.workflow.definitions import Workflow
from worldflow.engine.workflow.execution import Execution
from worldflow.engine.workflow.ramps import workflow_of
from worldflow.engine.workflow.step_info import StepInfo, current_step
from worldflow.evaluating import NO_MATTER, ReplayedCall, ReplayedRun, read_history, replay_with
from worldflow.runtime import webhooks
from worldflow.runtime.edits import Edit
from worldflow.runtime.orchestrator import Orchestrator
from worldflow.runtime.run_handle import RunHandle
from worldflow.serving.worker import Worker
from worldflow.turns.live_runs import LIVE_LIMIT
from worldflow.worlds.local.world import LocalWorld

__all__ = [
    "ReplayedCall",
    "ReplayedRun",
    "TestHook",
    "TestRun",
    "WorkflowEnvironment",
    "replay",
    "replay_with",
    "step_context",
]

P = ParamSpec("P")
R = TypeVar("R", default=Any)
T = TypeVar("T")
V = TypeVar("V", default=Any)

_STEP_PATIENCE = 0.01

_PARTING = 1.0
"""Seconds that an environment which is left waits for a turn that is under way."""


@contextmanager
def step_context(run_id: str = "run", step_id: str = "s1", attempt: int = 1, *, name: str = "") -> Iterator[StepInfo]:
    """Provides `step_info()` to a step that is called directly, without a workflow."""
    info = StepInfo(run_id, step_id, attempt, name=name)
    token = current_step.set(info)
    try:
        yield info
    finally:
        current_step.reset(token)


def replay(history: str) -> None:
    """Replays a run's history with the current code of its workflow.

    history: the output of `python -m worldflow events RUN --json`.
    Raises `NonDeterminismError` if the code makes different calls than the history has, and `SerializationError` if it
    cannot read a recorded value: deploying it would block the run. Cannot be called from an `async def` function.
    """
    events = read_history(history)
    started = events[0]
    assert isinstance(started, RunStarted), "a history begins with RunStarted"
    execution = Execution(started.run_id, workflow_of(events), webhooks=NO_MATTER)
    try:
        execution.replay(events)
    finally:
        execution.dispose()


class WorkflowEnvironment:
    """A world in memory, with its own clock and worker.

    start_time: initial time of the clock. Default: now.
    replay_every_turn: drops live executions after each turn, so that every turn replays the history, and the run is
        `blocked` if the workflow is not deterministic.
    """

    def __init__(self, *, start_time: datetime | None = None, replay_every_turn: bool = True) -> None:
        self._now = start_time or clock.now()
        self._ids = itertools.count(1)
        self.world = LocalWorld(clock=lambda: self._now, webhook_url="https://example.test/webhooks")
        self.orchestrator: Orchestrator = _Orchestrator(self)
        """For what has no method here, such as schedules and forks, and for code under test that takes an orchestrator.
        What it asks for happens when a result is awaited, or with `settle()`.
        """
        self._worker = Worker(self.world, live_limit=0 if replay_every_turn else LIVE_LIMIT, strict=True)
        self._turn = asyncio.Lock()
        """Whose turn it is to let things happen: one caller's after the other's, in the order in which they ask."""
        self._working: asyncio.Task[bool] | None = None
        """What a caller who was cancelled has left half done."""
        self._limits: list[datetime] = []
        """When those that wait have waited long enough."""
        self._progress = 0
        """Grows with all that happens."""
        self._seen: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        """The progress up to which those that wait have looked."""
        audit.install()

    async def __aenter__(self) -> WorkflowEnvironment:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._working:
            await asyncio.wait([self._working], timeout=_PARTING)
            self._working.add_done_callback(lambda task: task.cancelled() or task.exception())
            self._working.cancel()
        await self._worker.leave()
        self._worker.close()
        self.world.close()

    def now(self) -> datetime:
        """The time of the clock."""
        return self._now

    async def start(self, workflow: Workflow[P, R], /, *args: P.args, **kwargs: P.kwargs) -> TestRun[R]:
        """Starts a run of `workflow` with these arguments, and runs it as far as it can without time passing."""
        arguments = workflow.input(*args, **kwargs)
        run_id = f"test-{next(self._ids)}"
        await self._settle_after(self.orchestrator.start_workflow(run_id, workflow, arguments))
        return TestRun(self, run_id)

    async def advance(self, duration: Duration) -> None:
        """Lets time pass, timer by timer."""
        async with self._turn:
            until = self._now + timedelta(seconds=seconds(duration))
            while await self._skip(until):
                pass
            self._now = until

    def run(self, run_id: str) -> TestRun[Any]:
        """A handle on a run of this environment, such as a child."""
        return TestRun(self, run_id)

    async def resume_hook(self, token: str, value: Any = None) -> None:
        """Sends a value to the hook with this token, and lets its run continue."""
        await self._settle_after(self.orchestrator.resume_hook(token, value))

    async def fail_hook(self, token: str, error: str | Exception) -> None:
        """Sends a failure to the hook with this token, and lets its run continue."""
        await self._settle_after(self.orchestrator.fail_hook(token, error))

    async def heartbeat_hook(self, token: str) -> None:
        """Reports that a value for the hook with this token is still to come."""
        await self._settle_after(self.orchestrator.heartbeat_hook(token))

    async def request(
        self,
        url: str,
        *,
        method: str = "POST",
        body: Json | bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> webhooks.Answer:
        """Sends a request to the webhook with this URL, and returns the response.

        body: bytes, a string, or a value that is sent as JSON.
        If the workflow is to respond, waits up to 20 seconds of the environment's time.
        """
        loop = asyncio.get_running_loop()

        def sleep(seconds: float) -> None:
            asyncio.run_coroutine_threadsafe(self._settle_or_advance(seconds), loop).result()

        parts = urlsplit(url)
        answer = await asyncio.to_thread(
            webhooks.receive,
            self.world,
            parts.path.rpartition("/")[2],
            method=method,
            body=body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode(),
            headers=headers,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            sleep=sleep,
        )
        await self.settle()
        return answer

    async def _settle_or_advance(self, seconds: float) -> None:
        if not await self.settle():
            await self.advance(seconds)

    async def settle(self) -> bool:
        """Processes everything that is due now. Returns whether there was anything."""
        async with self._turn:
            return await self._settle()

    async def _settle_after(self, call: Coroutine[Any, Any, T]) -> T:
        """Awaits a call that asks for something, and lets it happen."""
        try:
            await self._turn.acquire()
        except BaseException:
            call.close()
            raise
        try:
            result = await call
            await self._settle()
            return result
        finally:
            self._turn.release()

    async def skip(self, until: datetime | None = None) -> bool:
        """Jumps to the next moment at which something is due, unless that is after `until`. Returns whether it did."""
        async with self._turn:
            return await self._skip(until)

    async def _wait(self, until: datetime | None = None) -> bool:
        """For a caller who looks again and again whether what he waits for has happened: lets something happen, and
        time pass if need be. Returns False if nothing has since he last looked, nor will, or not until `until`, which
        it is then.
        """
        task = asyncio.current_task()
        assert task is not None
        async with self._turn:
            has_looked = self._seen.get(task) == self._progress
            # Another may wait no longer than until then.
            limit = min(self._limits, default=None)
            # What others have let happen since may be what he waits for: then no time is to pass.
            happens = not has_looked or await self._settle() or await self._skip(limit)
            if not happens and limit:
                if limit > self._now:
                    self._now = limit
                    self._progress += 1
                happens = until is None or limit < until
            self._seen[task] = self._progress
            return happens

    async def _settle(self) -> bool:
        happened = False
        while True:
            # Asked first: a step that ends while `work` looks for something to do has sent what it looks for.
            busy = self._worker.busy
            if not await self._work() and not busy:
                return happened
            happened = True
            self._progress += 1
            if self._worker.busy:
                await self._worker.pause(_STEP_PATIENCE)

    async def _work(self) -> bool:
        """Work begun in a thread continues when its caller is cancelled. The next caller waits for it."""
        self._working = self._working or asyncio.create_task(self._worker.work())
        await asyncio.wait([self._working])
        working, self._working = self._working, None
        return working.result()

    async def _skip(self, until: datetime | None = None) -> bool:
        await self._settle()
        due = self.world.next_due()
        if due is None or (until and due > until):
            return False
        self._now = max(self._now, due)
        self._progress += 1
        await self._settle()
        return True


@dataclass(frozen=True, slots=True)
class TestHook:
    """A hook of a run. `url` is where requests go, and None if it is no webhook."""

    __test__ = False

    hook_id: str
    token: str
    url: str | None
    metadata: Json


class _TimeIsUp(Exception):
    """What a caller waits for has not happened within his time, and nothing else will."""


_until: ContextVar[datetime | None] = ContextVar("until", default=None)
"""How long the caller waits at most."""


class _Orchestrator(Orchestrator):
    """An orchestrator whose handles let time pass."""

    def __init__(self, env: WorkflowEnvironment) -> None:
        super().__init__(env.world)
        self._env = env

    def run(self, run_id: str) -> TestRun[Any]:
        return TestRun(self._env, run_id)


class TestRun(RunHandle[R]):
    """A run in a `WorkflowEnvironment`. Calls that send signals or cancellations return after they are handled."""

    __test__ = False

    def __init__(self, env: WorkflowEnvironment, run_id: str) -> None:
        super().__init__(env.world, run_id)
        self._env = env

    async def signal(self, name: str, value: Any = None, *, signal_id: str | None = None) -> str:
        return await self._env._settle_after(super().signal(name, value, signal_id=signal_id))

    async def cancel(self, reason: str | None = None) -> None:
        await self._env._settle_after(super().cancel(reason))

    async def pause(self, reason: str | None = None, *, by: str | None = None) -> None:
        await self._env._settle_after(super().pause(reason, by=by))

    async def unpause(self) -> None:
        await self._env._settle_after(super().unpause())

    async def wake(self, timer: str | None = None) -> int:
        return await self._env._settle_after(super().wake(timer))

    async def terminate(self, reason: str | None = None) -> None:
        await self._env._settle_after(super().terminate(reason))

    async def retry(self, *, input: Mapping[str, Any] | None = None) -> Self:
        return await self._env._settle_after(super().retry(input=input))

    async def fork(self, new_run_id: str, *, after: int | None = None, edit: Edit | None = None) -> TestRun[R]:
        await self._env._settle_after(super().fork(new_run_id, after=after, edit=edit))
        return TestRun(self._env, new_run_id)

    async def hooks(self) -> list[TestHook]:
        """The hooks and webhooks that this generation holds, in the order in which it created them."""
        held: dict[str, TestHook] = {}
        for event in await self.events():
            match event:
                case HookCreated():
                    url = self._env.world.webhooks.url(event.token) if event.webhook else None
                    held[event.hook_id] = TestHook(event.hook_id, event.token, url, event.metadata)
                case HookDisposed() | HookConflicted():
                    held.pop(event.hook_id, None)
        return list(held.values())

    @asynccontextmanager
    async def _within(self, timeout: Duration | None, problem: Callable[[str], str]) -> AsyncIterator[None]:
        """By the environment's clock; and by the machine's, for a step that hangs."""
        limit = None if timeout is None else seconds(timeout)
        until = None if limit is None else self._env.now() + timedelta(seconds=limit)
        token = _until.set(until)
        if until:
            self._env._limits.append(until)
        try:
            async with super()._within(timeout, problem):
                yield
        except _TimeIsUp:
            assert limit is not None
            raise TimeoutError(problem(spoken(limit))) from None
        finally:
            _until.reset(token)
            if until:
                self._env._limits.remove(until)

    async def _pause(self, seconds: float, changed: Callable[[float], Awaitable[None]] | None = None) -> None:
        until = _until.get()
        if not await self._env._wait(until):
            if until:
                raise _TimeIsUp
            raise AssertionError(f"run {self.id!r} waits for something that never arrives; a signal, perhaps?")
