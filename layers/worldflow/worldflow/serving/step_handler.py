"""The handler of the function that reads the queue of steps."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Sequence
from typing import Any

from worldflow.engine.privacy import loggable
from worldflow.serving.batches import Out, Record, Scope, answer, read_batch, unscoped
from worldflow.serving.outages import LIFE_RECEIVES, key_of_task, postpone
from worldflow.serving.powertools import Handler
from worldflow.turns.loading import load_workflows
from worldflow.turns.observer import Observer
from worldflow.turns.steps import StepExecutor, log_what_is_left
from worldflow.worlds.aws.world import AWSWorld
from worldflow.worlds.messages import StepTask
from worldflow.worlds.outages import passes

_log = logging.getLogger("worldflow")


def create_step_handler(world: AWSWorld, *, scope: Scope = unscoped, observer: Observer | None = None) -> Handler:
    """The handler of the function that reads the queue of steps. The steps of one batch run at the same time.

    Imports the modules that `WORLDFLOW_WORKFLOWS` names, so that their steps are known. One event loop lives as long as
    the function's process, so that what steps keep (a client, a pool) may be tied to it.
    """
    return StepHandler(world, scope, observer).handler


class StepHandler:
    def __init__(self, world: AWSWorld, scope: Scope, observer: Observer | None) -> None:
        load_workflows(world.settings.workflows)
        self._world = world
        self._scope = scope
        self._executor = StepExecutor(world, observer=observer)
        self._runner = asyncio.Runner()
        self._runner.get_loop().set_exception_handler(log_what_is_left)
        weakref.finalize(self, self._runner.close)

    def close(self) -> None:
        """Closes the event loop of the process."""
        self._runner.close()

    def handler(self, event: dict[str, Any], context: Any = None) -> dict[str, Any]:
        records, unreadable = read_batch(event)
        went = self._runner.run(self._execute_all(records))
        put_off = [[(record.receipt, record.receives)] for record, out in went if out is Out.PUT_OFF]
        postpone(self._world, event, put_off)
        return answer(unreadable + [record.id for record, out in went if out is not Out.DONE])

    async def _execute_all(self, records: Sequence[Record]) -> list[tuple[Record, Out]]:
        await self._executor.record_what_is_kept()
        # A task and its copy are of one group: the second finds the outcome of the first.
        groups: dict[str, list[Record]] = {}
        for record in records:
            groups.setdefault(record.group, []).append(record)
        went: list[tuple[Record, Out]] = []
        done = await asyncio.gather(*map(self._execute_in_order, groups.values()), return_exceptions=True)
        for group, outs in zip(groups.values(), done, strict=True):
            if isinstance(outs, asyncio.CancelledError):  # by a step that cancels every task it finds
                _log.error("run %s: a step was cancelled from outside and will be retried", group[0].run_id)
                went += [(record, Out.FAILED) for record in group]
            elif isinstance(outs, BaseException):
                raise outs
            else:
                went += zip(group, outs, strict=True)
        return went

    async def _execute_in_order(self, records: Sequence[Record]) -> list[Out]:
        return [await self._execute(record) for record in records]

    async def _execute(self, record: Record) -> Out:
        task = record.message
        if not isinstance(task, StepTask):
            _log.error("the step queue holds a message of another kind: %s", task.kind)
            return Out.FAILED
        with self._scope(run_id=task.run_id, step_id=task.step_id, attempt=task.attempt):
            try:
                await self._run(task, record)
            except Exception as error:
                _log.error("step %s could not be run and will be retried", task.name, exc_info=loggable(error))
                return Out.PUT_OFF if passes(error) else Out.FAILED
        return Out.DONE

    async def _run(self, task: StepTask, record: Record) -> None:
        executor, deaths = self._executor, self._world.deaths
        if record.receives == 1 and task.again is None:
            await executor.execute(task, sent_at=record.sent_at)
            return
        # It may be what kills the function: see `outages.py`.
        key = key_of_task(task)
        token, begun = await executor.in_thread(deaths.begin, key)
        try:
            if begun > LIFE_RECEIVES:
                await executor.in_thread(executor.bury, task)
            else:
                await executor.execute(task, redelivered=True, sent_at=record.sent_at)
        except Exception as error:
            if passes(error):
                await executor.in_thread(deaths.take_back, key, token)
            raise
