"""Running one attempt of a step, and telling its run what came of it.

Order matters: the outcome goes to the ledger before it is sent. A task that comes again, because the function died
between the two or its acknowledgement was lost, finds the outcome there and sends it without running the step a second
time.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from worldflow.engine.context import StepInfo, current_step
from worldflow.engine.definitions import Step, find_step
from worldflow.engine.durations import spoken
from worldflow.engine.errors import (
    ConfigurationError,
    FatalError,
    PayloadCodecError,
    PayloadTooLargeError,
    StepCrashedError,
    StepInterruptedError,
    StepNotFoundError,
    StepTimeoutError,
    WorldflowError,
)
from worldflow.engine.failures import encode_exception
from worldflow.engine.history import StepCompleted, StepFailed
from worldflow.engine.privacy import log_context, loggable
from worldflow.engine.retry import retry_after
from worldflow.runtime.inline_loop import InlineLoop
from worldflow.runtime.loading import explain_failures
from worldflow.worlds.base import World
from worldflow.worlds.messages import FactArrived, StepOutcome, StepTask
from worldflow.worlds.payloads import fetch, is_stand_in, stash, stash_event

_log = logging.getLogger("worldflow")


def log_what_is_left(_: object, context: dict[str, Any]) -> None:
    """An event loop's exception handler: for tasks that a step has left behind."""
    log_context(_log, "left behind by a step", context)


class StepExecutor:
    """Runs the steps that a world's queue of steps asks for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._inline = InlineLoop(log_what_is_left)

    def close(self) -> None:
        """Closes the event loop of inline steps."""
        self._inline.close()

    async def execute(self, task: StepTask, *, redelivered: bool = False) -> None:
        """Runs one attempt and sends its outcome to the run.

        redelivered: the task was received before, so that it may have an outcome already.
        When it returns, the task may be acknowledged; if it raises, it must come again.
        """
        if finish := await self.attempt(task, redelivered=redelivered):
            await asyncio.to_thread(finish)

    async def attempt(self, task: StepTask, *, redelivered: bool = False) -> Callable[[], None] | None:
        """Runs one attempt, and returns what is to be called to record and send its outcome, if it has one."""
        has_record = task.ledger is not False and (redelivered or task.redo)
        outcome = await asyncio.to_thread(self._recorded, task) if has_record else None
        if outcome:
            return partial(self._tell, outcome)
        if task.deadline and self._world.now() >= task.deadline:
            _log.warning("step %s, attempt %d, comes after its deadline and is not run", task.name, task.attempt)
            return None
        if task.at_most_once and not await asyncio.to_thread(self._claim, task):
            error = StepInterruptedError(f"{task.name!r} began, and it is not known what came of it")
            return partial(self._finish, task, _failed(task, error, retryable=False))
        return partial(self._finish, task, await self._run(task))

    def run_inline(self, tasks: Sequence[StepTask]) -> list[StepCompleted | StepFailed]:
        """Runs attempts here and now, side by side, and returns what came of them. Nothing is written or sent."""

        async def run_all() -> list[StepCompleted | StepFailed]:
            return await asyncio.gather(*map(self._run, tasks))

        facts: list[StepCompleted | StepFailed] = []
        if len(tasks) == 1:
            facts.append(self._inline.run(self._run(tasks[0])))
        elif tasks:
            facts += self._inline.run(run_all())
        return [self._stashed(task, fact) for task, fact in zip(tasks, facts, strict=True)]

    def hand_over(self, run_id: str, facts: Sequence[StepCompleted | StepFailed]) -> None:
        """Sends what came of inline attempts. Other turns come before that arrives, and find it in the ledger."""
        for fact in facts:
            self._tell(self._world.put_outcome(StepOutcome(run_id=run_id, fact=fact)))

    def _claim(self, task: StepTask) -> bool:
        return self._world.claim(task.run_id, task.step_id, task.attempt)

    def bury(self, task: StepTask) -> None:
        """Fails an attempt whose function died on every delivery, unless it had an outcome."""
        error = StepCrashedError(f"the function died on every delivery of {task.name!r}, attempt {task.attempt}")
        self._finish(task, _failed(task, error, retryable=not task.at_most_once))

    def _recorded(self, task: StepTask) -> StepOutcome | None:
        return self._world.get_outcome(task.run_id, task.step_id, task.attempt)

    def _finish(self, task: StepTask, fact: StepCompleted | StepFailed) -> None:
        outcome = StepOutcome(run_id=task.run_id, fact=self._stashed(task, fact))
        if task.ledger is not False:
            # A copy of the task, or its dead letter, may have come first: what is told is what is recorded.
            outcome = self._world.put_outcome(outcome)
        self._tell(outcome)

    def _stashed(self, task: StepTask, fact: StepCompleted | StepFailed) -> StepCompleted | StepFailed:
        try:
            return stash_event(self._world, task.run_id, fact)
        except (ConfigurationError, PayloadTooLargeError) as error:
            return _failed(task, error, retryable=False)  # there is no place for data of this size

    def _tell(self, outcome: StepOutcome) -> None:
        self._world.send([FactArrived(run_id=outcome.run_id, fact=outcome.fact)])

    async def _info(self, task: StepTask) -> StepInfo:
        """What the step may know of itself."""
        world, attempt = self._world, (task.run_id, task.step_id, task.attempt)
        details = None
        for before in range(task.attempt - 1, 0, -1) if task.heartbeats else ():
            if beat := await asyncio.to_thread(world.last_beat, task.run_id, task.step_id, before):
                details = await asyncio.to_thread(fetch, world, beat.details)
                break
        return StepInfo(
            *attempt,
            heartbeat_details=details,
            origin=task.origin,
            _beat=lambda value: world.beat(*attempt, stash(world, task.run_id, value)),
        )

    async def _run(self, task: StepTask) -> StepCompleted | StepFailed:
        try:
            step = find_step(task.name)
        except StepNotFoundError as error:
            # Perhaps a deployment is under way and the next attempt finds it.
            return _failed(task, StepNotFoundError(f"{error}{explain_failures()}"), retryable=True)
        try:
            values = task.input
            if is_stand_in(values):
                values = await asyncio.to_thread(fetch, self._world, values)
            arguments = step.signature.decode(values or {})
        except PayloadCodecError as error:
            return _failed(task, error, retryable=True)  # perhaps a deployment is under way
        except WorldflowError as error:
            return _failed(task, error, retryable=False)
        token = current_step.set(await self._info(task))
        try:
            value = await _call(step, arguments, task.timeout)
        except BaseException as error:  # whatever it raises, it is this step that fails, and no other
            task_here = asyncio.current_task()
            if task_here and task_here.cancelling():
                raise  # it is the executor that is stopped, and not the step that failed
            name = type(error).__name__
            _log.warning("step %s, attempt %d, failed: %s", task.name, task.attempt, name, exc_info=loggable(error))
            if isinstance(error, StepTimeoutError):
                error = StepTimeoutError(f"step {task.name!r}, attempt {task.attempt}: {error}")
            retryable = not (isinstance(error, StepTimeoutError) and task.at_most_once)
            return _failed(task, error, retryable=retryable and not isinstance(error, FatalError))
        finally:
            current_step.reset(token)
        try:
            result = step.signature.result.encode(value)
        except WorldflowError as error:
            return _failed(task, error, retryable=False)
        return StepCompleted(step_id=task.step_id, attempt=task.attempt, result=result)


async def _call(step: Step[..., object], arguments: dict[str, object], timeout: float | None) -> object:
    if step.is_async:
        return await _within(timeout, step.signature.call(arguments))
    value, error = await asyncio.to_thread(_call_plain, step, arguments)
    if error:
        raise error
    # A plain decorator around an `async def` returns its coroutine, which nobody has awaited yet.
    return await _within(timeout, value) if inspect.isawaitable(value) else value


async def _within(timeout: float | None, value: Awaitable[object]) -> object:
    try:
        async with asyncio.timeout(timeout) as limit:
            return await value
    except TimeoutError:
        if timeout is None or not limit.expired():
            raise
        raise StepTimeoutError(f"it took longer than {spoken(timeout)}") from None


def _call_plain(step: Step[..., object], arguments: dict[str, object]) -> tuple[object, BaseException | None]:
    """A function's result or its exception, which is not raised: no future takes a `StopIteration`."""
    try:
        return step.signature.call(arguments), None
    except BaseException as error:
        return None, error


def _failed(task: StepTask, error: BaseException, *, retryable: bool) -> StepFailed:
    return StepFailed(
        step_id=task.step_id,
        attempt=task.attempt,
        error=encode_exception(error),
        retryable=retryable,
        retry_after=retry_after(error),
    )
