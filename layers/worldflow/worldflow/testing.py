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

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ParamSpec, Self, TypeVar

from worldflow import audit, clock
from worldflow.engine.context import StepInfo, current_step
from worldflow.engine.definitions import Workflow, find_workflow, oldest_version
from worldflow.engine.durations import Duration, seconds
from worldflow.engine.execution import Execution
from worldflow.engine.history import RunStarted, load_events
from worldflow.runtime.orchestrator import Orchestrator, RunHandle
from worldflow.runtime.turns import LIVE_LIMIT
from worldflow.worker import Worker
from worldflow.worlds.local import LocalWorld

P = ParamSpec("P")
R = TypeVar("R")

_STEP_PATIENCE = 0.01


@contextmanager
def step_context(run_id: str = "run", step_id: str = "s1", attempt: int = 1) -> Iterator[StepInfo]:
    """What `step_info()` gives to a step that is called alone, without a workflow."""
    info = StepInfo(run_id, step_id, attempt)
    token = current_step.set(info)
    try:
        yield info
    finally:
        current_step.reset(token)


class _NoMatter:
    """Webhooks of a replay, which asks for nothing with their URLs."""

    def token(self, run_id: str, hook_id: str, expires: datetime) -> str:
        return f"{run_id}/{hook_id}"

    def url(self, token: str) -> str:
        return token


def replay(history: str) -> None:
    """Replays a run's history on its workflow's code as it is now.

    history: what `python -m worldflow events RUN --json` prints.
    Raises `NonDeterminismError` where the code asks for something else than it did, and `SerializationError` where it
    cannot read what is recorded: a deployment would block the run. Not to be called from an `async def`.
    """
    lines = [json.loads(line) for line in history.splitlines()]
    events = load_events(json.dumps([line.pop("payload") | line for line in lines]))
    started = events[0]
    assert isinstance(started, RunStarted), "a history begins with RunStarted"
    version = oldest_version(started.workflow_name) if started.version is None else started.version
    workflow = find_workflow(started.workflow_name, version)
    execution = Execution(started.run_id, workflow, webhooks=_NoMatter())
    try:
        execution.replay(events)
    finally:
        execution.dispose()


class WorkflowEnvironment:
    """A world in memory, with its own clock and worker.

    start_time: what the clock shows at first; now, unless given.
    replay_every_turn: forgets live executions after each turn, so that every turn replays the history and fails the
        test's run as `blocked` if the workflow is not deterministic.
    """

    def __init__(self, *, start_time: datetime | None = None, replay_every_turn: bool = True) -> None:
        self._now = start_time or clock.now()
        self._ids = itertools.count(1)
        self.world = LocalWorld(clock=lambda: self._now, webhook_url="https://example.test/webhooks")
        self._orchestrator = Orchestrator(self.world)
        self._worker = Worker(self.world, live_limit=0 if replay_every_turn else LIVE_LIMIT, strict=True)
        audit.install()

    async def __aenter__(self) -> WorkflowEnvironment:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._worker.close()
        self.world.close()

    def now(self) -> datetime:
        """What the clock shows."""
        return self._now

    async def start(self, workflow: Workflow[P, R], /, *args: P.args, **kwargs: P.kwargs) -> TestRun:
        """Starts a run of `workflow` with these arguments, and lets it go as far as it can without time passing."""
        arguments = workflow.signature.bind(*args, **kwargs)
        run_id = f"test-{next(self._ids)}"
        await self._orchestrator.start_workflow(run_id, workflow, arguments)
        await self.settle()
        return TestRun(self, run_id)

    async def advance(self, duration: Duration) -> None:
        """Lets time pass, timer by timer."""
        until = self._now + timedelta(seconds=seconds(duration))
        while await self.skip(until):
            pass
        self._now = until

    def run(self, run_id: str) -> TestRun:
        """A handle on a run of this environment, such as a child."""
        return TestRun(self, run_id)

    async def resume_hook(self, token: str, value: Any = None) -> None:
        """Sends a value to the hook of this token, and lets its run go on."""
        await self._orchestrator.resume_hook(token, value)
        await self.settle()

    async def settle(self) -> bool:
        """Lets everything happen that can happen now. Returns whether anything did."""
        happened = False
        while True:
            # Asked first: a step that ends while `work` looks for something to do has sent what it looks for.
            busy = self._worker.busy
            if not await self._worker.work() and not busy:
                return happened
            happened = True
            if self._worker.busy:
                await self._worker.pause(_STEP_PATIENCE)

    async def skip(self, until: datetime | None = None) -> bool:
        """Jumps to the next moment at which something is due, unless that is after `until`. Returns whether it did."""
        await self.settle()
        due = self.world.next_due()
        if due is None or (until and due > until):
            return False
        self._now = max(self._now, due)
        await self.settle()
        return True


class TestRun(RunHandle):
    """A run in a `WorkflowEnvironment`. Signals and cancellations have been dealt with when their calls return."""

    __test__ = False

    def __init__(self, env: WorkflowEnvironment, run_id: str) -> None:
        super().__init__(env.world, run_id)
        self._env = env

    async def signal(self, name: str, value: Any = None, *, signal_id: str | None = None) -> str:
        signal_id = await super().signal(name, value, signal_id=signal_id)
        await self._env.settle()
        return signal_id

    async def cancel(self, reason: str | None = None) -> None:
        await super().cancel(reason)
        await self._env.settle()

    async def terminate(self, reason: str | None = None) -> None:
        await super().terminate(reason)
        await self._env.settle()

    async def retry(self) -> Self:
        await super().retry()
        await self._env.settle()
        return self

    async def _pause(self, seconds: float) -> None:
        if not await self._env.settle() and not await self._env.skip():
            raise AssertionError(f"run {self.id!r} waits for something that will not come: a signal?")
