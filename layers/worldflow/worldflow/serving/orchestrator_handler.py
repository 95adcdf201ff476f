"""The handler of the function that reads the queues of runs and timers: turns, messages that are due, and dead letters.

A turn that fails fails with all messages of its run, so that their order holds; other runs of the batch continue.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from typing import Any

from worldflow.engine.privacy import loggable
from worldflow.runtime import firing
from worldflow.serving.batches import Out, Record, Scope, answer, out_of_time_of, read_batch, unscoped
from worldflow.serving.outages import TURN_DEATHS, has_died, noted, postpone
from worldflow.serving.powertools import Handler
from worldflow.turns.loading import load_workflows
from worldflow.turns.memory import memory_is_short
from worldflow.turns.observer import Observer
from worldflow.turns.steps import StepExecutor
from worldflow.turns.turns import Turns
from worldflow.worlds.aws.world import AWSWorld
from worldflow.worlds.messages import Delayed, RunMessage, ScheduledRunEnded, ScheduleDue, StepTask
from worldflow.worlds.outages import passes

_log = logging.getLogger("worldflow")

TURNS_AT_ONCE = 4
"""Turns of different runs in one batch that are taken side by side: most of their time they wait for AWS."""


def create_orchestrator_handler(
    world: AWSWorld,
    *,
    scope: Scope = unscoped,
    turns_at_once: int = TURNS_AT_ONCE,
    observer: Observer | None = None,
) -> Handler:
    """The handler of the function that reads the queues of runs and timers, and all dead-letter queues.

    Imports the modules that `WORLDFLOW_WORKFLOWS` names, so that their workflows are known. Turns of different runs in
    one batch are taken in threads.
    """
    return OrchestratorHandler(world, scope, turns_at_once, observer).handler


class OrchestratorHandler:
    def __init__(self, world: AWSWorld, scope: Scope, turns_at_once: int, observer: Observer | None) -> None:
        load_workflows(world.settings.workflows)
        self._world = world
        self._scope = scope
        self._executor = StepExecutor(world)
        self._turns = Turns(
            world,
            history_limit=world.settings.history_limit,
            cpu_limit=world.settings.turn_cpu_limit,
            is_full=memory_is_short,
            observer=observer,
        )
        self._turns_at_once = turns_at_once
        self._threads = ThreadPoolExecutor(turns_at_once, "turn")

    def close(self) -> None:
        """Lets go of the live runs."""
        self._turns.close()

    def handler(self, event: dict[str, Any], context: Any = None) -> dict[str, Any]:
        records, failed = read_batch(event, self._world.settings.dead_letter_arns, self._world.set_aside)
        groups = by_run(records)
        take = partial(self._take, out_of_time=out_of_time_of(context))
        came_again = any(record.receives > 1 and not record.is_dead for record in records)
        if came_again or self._turns_at_once == 1 or any(record.is_dead for record in records):
            went = []
            for group in groups:
                went.append(take(group))
                if went[-1] is Out.DONE and came_again and group is not groups[-1]:
                    # One that follows may kill the function; what is done is not to come again with it.
                    self._acknowledge(event, group)
        else:
            went = list(self._threads.map(take, groups))
        put_off = [group for group, out in zip(groups, went, strict=True) if out is Out.PUT_OFF]
        postpone(self._world, event, [[(record.receipt, record.receives) for record in group] for group in put_off])
        failed += [r.id for group, out in zip(groups, went, strict=True) if out is not Out.DONE for r in group]
        return answer(failed)

    def _take(self, group: Sequence[Record], out_of_time: Callable[[], bool]) -> Out:
        if out_of_time():
            # Begun now, it would be cut off, and come again only when its visibility timeout is over.
            return Out.PUT_OFF
        with self._scope(run_id=group[0].run_id):
            if group[0].is_dead:
                _log.warning("handling a dead letter, received %d times: %s", group[0].receives, group[0].kind)
            try:
                self._handle(group, out_of_time)
                return Out.DONE
            except (Exception, asyncio.CancelledError) as error:
                _log.error("the turn failed and will be retried", exc_info=loggable(error))
                return Out.PUT_OFF if passes(error) else Out.FAILED

    def _handle(self, group: Sequence[Record], out_of_time: Callable[[], bool]) -> None:
        match group[0].message:
            case Delayed() as delayed:
                # Messages that are due are forwarded to their queue; early ones wait for the rest of their time.
                self._world.send([delayed])
            case StepTask() as task if not group[0].is_dead or has_died(self._world, task):
                self._executor.bury(task)
            case StepTask() as task:
                # Outages, or invocations that were throttled: it has not been tried as often as it may be.
                self._world.send([task.model_copy(update={"redo": True, "again": group[0].id})])
            case ScheduleDue() | ScheduledRunEnded() as of_schedule:
                firing.fire(self._world, of_schedule)
            case message:
                self._take_turn(message.run_id, group, out_of_time)

    def _take_turn(self, run_id: str, group: Sequence[Record], out_of_time: Callable[[], bool]) -> None:
        told = [(record.message, record.sent_at) for record in group if isinstance(record.message, RunMessage)]
        again = group[0].is_dead or any(record.receives > 1 for record in group)
        # A message that keeps killing its turn is taken without the workflow's code, which may be what kills it.
        with noted(self._world, f"dead#{group[0].id}") if again else nullcontext(0) as begun:
            self._turns.take(
                run_id,
                [message for message, _ in told],
                arrived=[sent_at for _, sent_at in told],
                redo=again,
                use_code=begun < TURN_DEATHS,
                out_of_time=out_of_time,
            )

    def _acknowledge(self, event: dict[str, Any], group: Sequence[Record]) -> None:
        try:
            self._world.acknowledge(event["Records"][0]["eventSourceARN"], [record.receipt for record in group])
        except Exception as error:
            _log.warning("could not delete finished messages early", exc_info=loggable(error))


def by_run(records: Sequence[Record]) -> list[list[Record]]:
    """The records that are handled together. Those that failed least often come first, so that one which kills the
    function delays no other; among equals, a different one goes first on each attempt.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        is_turn = isinstance(record.message, RunMessage) and not record.is_dead
        key = record.run_id if is_turn else record.id
        groups.setdefault(key, []).append(record)

    def turn(group: list[Record]) -> tuple[int, int]:
        receives = max(record.receives for record in group)
        return receives, zlib.crc32(f"{group[0].id}{receives}".encode()) if receives > 1 else 0

    return sorted(groups.values(), key=turn)
