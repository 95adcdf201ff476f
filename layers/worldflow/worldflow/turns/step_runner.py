"""What a step's attempt runs on, and what becomes of it: its arguments, what it may know of itself, the streams that it
writes, and its result or error as the fact that says so.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from worldflow.engine.errors import (
    BenignError,
    FatalError,
    PayloadCodecError,
    StepNotFoundError,
    StepTimeoutError,
    WorldflowError,
)
from worldflow.engine.history import StepCompleted, StepFailed
from worldflow.engine.privacy import loggable
from worldflow.engine.usage import Entry
from worldflow.engine.workflow.definitions import Step, find_step
from worldflow.engine.workflow.registry import OWN, interceptors
from worldflow.engine.workflow.run import OtherRuns
from worldflow.engine.workflow.step_info import StepInfo, current_step
from worldflow.turns.attempts import failed
from worldflow.turns.calling import Result, call_step, call_step_within
from worldflow.turns.loading import explain_failures
from worldflow.turns.streams import AttemptStreams
from worldflow.turns.threads import Threads
from worldflow.worlds import ledger
from worldflow.worlds.base import World
from worldflow.worlds.messages import StepTask
from worldflow.worlds.outages import is_outage
from worldflow.worlds.payloads import Whole, fetch, is_stand_in, stash

STREAM_THREADS = 256
"""Streams that are written side by side: each has a thread while there is something to write."""

_log = logging.getLogger("worldflow")


def _others(world: World) -> OtherRuns:
    from worldflow.turns.other_runs import OtherRuns  # which most steps do without

    return OtherRuns(world)


class StepRunner:
    """Runs the functions of steps.

    threads: for whatever of a step blocks.
    """

    def __init__(self, world: World, threads: Threads) -> None:
        self._world = world
        self._threads = threads
        self._writers: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Lets go of the threads that write streams."""
        writers, self._writers = self._writers, None
        if writers:
            writers.shutdown(wait=False)

    def _threads_of_streams(self) -> ThreadPoolExecutor:
        self._writers = self._writers or ThreadPoolExecutor(STREAM_THREADS, "worldflow-stream")
        return self._writers

    async def with_input(self, task: StepTask) -> StepTask:
        """The task with its arguments, where they are stored elsewhere and can be read. Raises errors of outages."""
        if not is_stand_in(task.input):
            return task
        try:
            value = await self._threads.call(fetch, self._world, task.input)
        except WorldflowError as error:
            if is_outage(error):
                raise
            return task
        return task.model_copy(update={"input": Whole(value, task.input)})

    async def info(self, task: StepTask) -> StepInfo:
        """What the step may know of itself."""
        world, attempt = self._world, (task.run_id, task.step_id, task.attempt)
        details = None
        for before in range(task.attempt - 1, 0, -1) if task.heartbeats else ():
            beat = await self._threads.call(ledger.last_beat, world, task.run_id, task.step_id, before)
            if beat and beat.details is not None:  # not only that it has begun
                details = await self._threads.call(fetch, world, beat.details)
                break
        return StepInfo(
            *attempt,
            heartbeat_details=details,
            origin=task.origin,
            name=task.name,
            headers=task.headers or {},
            # A step without a `heartbeat_timeout` that is under way is left alone.
            _others=partial(_others, world),
            _beat=lambda value: ledger.beat(world, *attempt, stash(world, task.run_id, value)) or not task.heartbeats,
        )

    async def run(self, task: StepTask, info: StepInfo | None = None, *, began: bool) -> StepCompleted | StepFailed:
        """The outcome of an attempt. Raises errors of outages before it has begun.

        info: what the step may know of itself, where that was read before.
        began: an earlier execution of this attempt may have begun, or an earlier attempt.
        """
        try:
            step = find_step(task.name)
        except StepNotFoundError as error:
            # Perhaps a deployment is under way and the next attempt finds it.
            return failed(task, StepNotFoundError(f"{error}{explain_failures()}"), retryable=True)
        values = task.input
        if isinstance(values, Whole):
            values = values.value
        elif is_stand_in(values):
            try:
                values = await self._threads.call(fetch, self._world, values)
            except WorldflowError as error:
                if is_outage(error):
                    raise  # it has not begun, and no attempt has failed
                return failed(task, error, retryable=isinstance(error, PayloadCodecError))  # perhaps of a deployment
        try:
            arguments = step.signature.decode(values or {})
        except WorldflowError as error:
            return failed(task, error, retryable=isinstance(error, PayloadCodecError))
        streams = AttemptStreams(self._world, task, self._threads_of_streams, is_first=not began)
        info = replace(info or await self.info(task), _open=streams.open)
        token = current_step.set(info)
        try:
            ended = await self._call(step, arguments, task.timeout, info)
            ended.error = await streams.finish(ended.error)
        finally:
            current_step.reset(token)
            streams.end()
        if ended.error is not None:  # whatever it raises, it is this step that fails, and no other
            return self._failure(task, ended.error, info.usage)
        try:
            result = step.signature.result.encode(ended.value)
        except WorldflowError as error:
            return failed(task, error, retryable=False, usage=info.usage)
        return StepCompleted(step_id=task.step_id, attempt=task.attempt, result=result, usage=info.usage or None)

    async def _call(
        self, step: Step[..., object], arguments: dict[str, object], timeout: float | None, info: StepInfo
    ) -> Result:
        if not interceptors or step.name.startswith(OWN):
            return await call_step(self._threads, step, arguments, timeout)
        from worldflow.engine.workflow.interceptors import around_step  # which most applications do without

        around = partial(around_step, info, arguments)
        return await call_step_within(around, self._threads, step, arguments, timeout)

    def _failure(self, task: StepTask, error: BaseException, usage: list[Entry]) -> StepFailed:
        name = type(error).__name__
        if isinstance(error, BenignError):
            _log.debug("step %s, attempt %d, failed: %s", task.name, task.attempt, name)
        else:
            _log.warning("step %s, attempt %d, failed: %s", task.name, task.attempt, name, exc_info=loggable(error))
        retryable = not isinstance(error, FatalError)
        if isinstance(error, StepTimeoutError):
            error = StepTimeoutError(f"step {task.name!r}, attempt {task.attempt}: {error}")
            retryable = not task.at_most_once
        return failed(task, error, retryable=retryable, usage=usage)
