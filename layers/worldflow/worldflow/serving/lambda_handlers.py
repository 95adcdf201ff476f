"""Lambda handlers: batches of SQS messages in, the batch items that failed out. And the caretaker's, which is called
every hour.

The event source mappings must have `ReportBatchItemFailures` on. A turn that fails fails with all messages of its run,
so that their order holds; other runs of the batch go on. A message that this code cannot read fails alone, and waits in
its queue for code that can; one that no code could goes to the dead letters at once, so that no run waits behind it.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from pydantic import ValidationError

from worldflow.engine.privacy import loggable
from worldflow.runtime import firing
from worldflow.serving.outages import LIFE_RECEIVES, TURN_DEATHS, has_died, key_of_task, noted, postpone
from worldflow.turns.loading import load_workflows
from worldflow.turns.memory import memory_is_short
from worldflow.turns.observer import Observer
from worldflow.turns.steps import StepExecutor, log_what_is_left
from worldflow.turns.turns import Turns
from worldflow.worlds.aws.world import AWSWorld
from worldflow.worlds.messages import (
    Delayed,
    Message,
    RunMessage,
    ScheduleDue,
    StepTask,
    load_message,
    may_be_message,
    summary,
    undelivered,
)
from worldflow.worlds.outages import passes

_log = logging.getLogger("worldflow")

TURN_MARGIN = 20
"""Seconds before the function's timeout at which a turn begins no further inline step."""

TURNS_AT_ONCE = 4
"""Turns of different runs in one batch that are taken side by side: most of their time they wait for AWS."""

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

Out = Enum("Out", ["DONE", "FAILED", "PUT_OFF"])
"""How the handling of messages went: they are acknowledged, or come again when their visibility timeout is over, or
sooner, since what was wrong passes.
"""

Scope = Callable[..., AbstractContextManager[Any]]
"""Called with `run_id=` (and `step_id=`, `attempt=`) around the work on a run or step: to put them on each line of a
log.
"""


SetAside = Callable[[str, str, str], bool]
"""Puts a body, of a queue, with an id, out of the way of others. Returns whether it did."""


def _unscoped(**_: Any) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class _Record:
    id: str
    message: Message | Delayed
    receives: int
    is_dead: bool
    receipt: str
    sent_at: datetime | None
    """When it came into its queue. Not known of a dead letter, which SQS dates anew."""

    @property
    def group(self) -> str:
        return self.id if isinstance(self.message, Delayed) else self.message.group

    @property
    def kind(self) -> str:
        return self.message.message.kind if isinstance(self.message, Delayed) else self.message.kind


def create_orchestrator_handler(
    world: AWSWorld,
    *,
    scope: Scope = _unscoped,
    turns_at_once: int = TURNS_AT_ONCE,
    observer: Observer | None = None,
) -> Handler:
    """The handler of the function behind the queues of runs and timers, and behind all dead-letter queues.

    Imports the modules that `WORLDFLOW_WORKFLOWS` names, so that their workflows are known. Turns of different runs in
    one batch are taken in threads.
    """
    _load(world)
    settings, executor = world.settings, StepExecutor(world)
    turns = Turns(
        world,
        history_limit=settings.history_limit,
        cpu_limit=settings.turn_cpu_limit,
        is_full=memory_is_short,
        observer=observer,
    )
    threads = ThreadPoolExecutor(turns_at_once, "turn")

    def handle(group: Sequence[_Record], out_of_time: Callable[[], bool]) -> None:
        match group[0].message:
            case Delayed() as delayed:
                # What is due goes on to its queue; what came early waits for the rest of its time.
                world.send([delayed])
            case StepTask() as task if not group[0].is_dead or has_died(world, task):
                executor.bury(task)
            case StepTask() as task:
                # Outages, or invocations that were throttled: it has not been tried as often as it may be.
                world.send([task.model_copy(update={"redo": True, "again": group[0].id})])
            case ScheduleDue() as due:
                firing.fire(world, due)
            case message:
                told = [(record.message, record.sent_at) for record in group if isinstance(record.message, RunMessage)]
                again = group[0].is_dead or any(record.receives > 1 for record in group)
                # What goes on dying is taken without the workflow's code, which may be what kills it.
                with noted(world, f"dead#{group[0].id}") if again else nullcontext(0) as begun:
                    turns.take(
                        message.run_id,
                        [message for message, _ in told],
                        arrived=[sent_at for _, sent_at in told],
                        redo=again,
                        use_code=begun < TURN_DEATHS,
                        out_of_time=out_of_time,
                    )

    def acknowledge(event: dict[str, Any], group: Sequence[_Record]) -> None:
        try:
            world.acknowledge(event["Records"][0]["eventSourceARN"], [record.receipt for record in group])
        except Exception as error:
            _log.warning("could not delete finished messages early", exc_info=loggable(error))

    def handler(event: dict[str, Any], context: Any = None) -> dict[str, Any]:
        records, failed = _read(event, settings.dead_letter_arns, world.set_aside)
        came_again = any(record.receives > 1 and not record.is_dead for record in records)

        def out_of_time() -> bool:
            return context is not None and context.get_remaining_time_in_millis() < TURN_MARGIN * 1_000

        def take(group: Sequence[_Record]) -> Out:
            if out_of_time():
                # Begun now, it would be cut off, and come again only when its visibility timeout is over.
                return Out.PUT_OFF
            with scope(run_id=_run_id(group[0])):
                if group[0].is_dead:
                    _log.warning("handling a dead letter, received %d times: %s", group[0].receives, group[0].kind)
                try:
                    handle(group, out_of_time)
                    return Out.DONE
                except (Exception, asyncio.CancelledError) as error:
                    _log.error("the turn failed and will be retried", exc_info=loggable(error))
                    return Out.PUT_OFF if passes(error) else Out.FAILED

        groups = _by_run(records)
        if came_again or turns_at_once == 1 or any(record.is_dead for record in records):
            went = []
            for group in groups:
                went.append(take(group))
                if went[-1] is Out.DONE and came_again and group is not groups[-1]:
                    # One that follows may kill the function; what is done is not to come again with it.
                    acknowledge(event, group)
        else:
            went = list(threads.map(take, groups))
        put_off = [group for group, out in zip(groups, went, strict=True) if out is Out.PUT_OFF]
        postpone(world, event, [[(record.receipt, record.receives) for record in group] for group in put_off])
        failed += [r.id for group, out in zip(groups, went, strict=True) if out is not Out.DONE for r in group]
        return _answer(failed)

    return handler


def create_step_handler(world: AWSWorld, *, scope: Scope = _unscoped, observer: Observer | None = None) -> Handler:
    """The handler of the function behind the queue of steps. The steps of one batch run at the same time.

    Imports the modules that `WORLDFLOW_WORKFLOWS` names, so that their steps are known. One event loop lives as long as
    the function's process, so that what steps keep (a client, a pool) may be tied to it.
    """
    _load(world)
    executor, runner = StepExecutor(world, observer=observer), asyncio.Runner()
    runner.get_loop().set_exception_handler(log_what_is_left)

    async def execute(record: _Record) -> Out:
        task = record.message
        if not isinstance(task, StepTask):
            _log.error("the step queue holds a message of another kind: %s", task.kind)
            return Out.FAILED
        with scope(run_id=task.run_id, step_id=task.step_id, attempt=task.attempt):
            try:
                await run(task, record)
            except Exception as error:
                _log.error("step %s could not be run and will be retried", task.name, exc_info=loggable(error))
                return Out.PUT_OFF if passes(error) else Out.FAILED
        return Out.DONE

    async def run(task: StepTask, record: _Record) -> None:
        if record.receives == 1 and task.again is None:
            await executor.execute(task, sent_at=record.sent_at)
            return
        # It may be what kills the function: see `outages.py`.
        key = key_of_task(task)
        token, begun = await executor.in_thread(world.deaths.begin, key)
        try:
            if begun > LIFE_RECEIVES:
                await executor.in_thread(executor.bury, task)
            else:
                await executor.execute(task, redelivered=True, sent_at=record.sent_at)
        except Exception as error:
            if passes(error):
                await executor.in_thread(world.deaths.take_back, key, token)
            raise

    async def execute_in_order(records: Sequence[_Record]) -> list[Out]:
        return [await execute(record) for record in records]

    async def execute_all(records: Sequence[_Record]) -> list[tuple[_Record, Out]]:
        await executor.record_what_is_kept()
        # A task and its copy are of one group: the second finds the outcome of the first.
        groups: dict[str, list[_Record]] = {}
        for record in records:
            groups.setdefault(record.group, []).append(record)
        went: list[tuple[_Record, Out]] = []
        done = await asyncio.gather(*map(execute_in_order, groups.values()), return_exceptions=True)
        for group, outs in zip(groups.values(), done, strict=True):
            if isinstance(outs, asyncio.CancelledError):  # by a step that cancels every task it finds
                _log.error("run %s: a step was cancelled from outside and will be retried", _run_id(group[0]))
                went += [(record, Out.FAILED) for record in group]
            elif isinstance(outs, BaseException):
                raise outs
            else:
                went += zip(group, outs, strict=True)
        return went

    def handler(event: dict[str, Any], context: Any = None) -> dict[str, Any]:
        records, unreadable = _read(event)
        went = runner.run(execute_all(records))
        put_off = [[(record.receipt, record.receives)] for record, out in went if out is Out.PUT_OFF]
        postpone(world, event, put_off)
        return _answer(unreadable + [record.id for record, out in went if out is not Out.DONE])

    weakref.finalize(handler, runner.close)
    return handler


def create_caretaker_handler(world: AWSWorld, *, observer: Observer | None = None) -> Handler:
    """The handler of the function that is called every hour: it wakes runs that lost their wake-up, and archives those
    that ended long ago.

    What it has no time for is left to the next hour. Neither keeps the other from its work: if one fails, the other is
    done before the function fails. Secrets Manager calls it too, to change the key of webhooks.
    """
    from worldflow.runtime.archive import archive_old_runs  # which no other function needs
    from worldflow.runtime.sweep import sweep
    from worldflow.worlds.aws.webhook_keys import is_rotation, rotate

    def handler(event: dict[str, Any], context: Any = None) -> dict[str, Any]:
        if is_rotation(event):
            rotate(world.access, event)
            return {}

        def out_of_time() -> bool:
            return context is not None and context.get_remaining_time_in_millis() < TURN_MARGIN * 1_000

        answer: dict[str, Any] = {}
        try:
            answer["sweep"] = asdict(sweep(world, out_of_time=out_of_time, observer=observer))
        finally:
            if days := world.settings.retention_days:
                report = archive_old_runs(world, older_than=timedelta(days=days), out_of_time=out_of_time)
                answer["archive"] = asdict(report)
        return answer

    return handler


def _load(world: AWSWorld) -> None:
    load_workflows(world.settings.workflows)


def _read(
    event: dict[str, Any],
    dead_letter_arns: Sequence[str] = (),
    set_aside: SetAside = lambda arn, body, id: False,
) -> tuple[list[_Record], list[str]]:
    """The records of a batch, and the ids of those that cannot be read and are not set aside."""
    records, unreadable = [], []
    for record in event["Records"]:
        receives = int(record["attributes"]["ApproximateReceiveCount"])
        is_dead = record["eventSourceARN"] in dead_letter_arns
        body = undelivered(record["body"]) if is_dead else record["body"]
        try:
            message = load_message(body)
        except ValidationError as error:
            _log.error("message %s cannot be read: %s", record["messageId"], summary(error))
            if may_be_message(body) or not _set_aside(record, set_aside):
                unreadable.append(record["messageId"])
        else:
            sent_at = None if is_dead else _sent_at(record)
            records.append(_Record(record["messageId"], message, receives, is_dead, record["receiptHandle"], sent_at))
    return records, unreadable


def _sent_at(record: Mapping[str, Any]) -> datetime | None:
    milliseconds = record["attributes"].get("SentTimestamp")
    return datetime.fromtimestamp(int(milliseconds) / 1_000, UTC) if milliseconds else None


def _set_aside(record: Mapping[str, Any], set_aside: SetAside) -> bool:
    try:
        return set_aside(record["eventSourceARN"], record["body"], record["messageId"])
    except Exception as error:
        _log.error(
            "message %s cannot be set aside and will be redelivered", record["messageId"], exc_info=loggable(error)
        )
        return False


def _by_run(records: Sequence[_Record]) -> list[list[_Record]]:
    """The records that are handled together. Those that failed least often come first, so that one which kills the
    function delays no other; of those that failed together it is another that comes first each time.
    """
    groups: dict[str, list[_Record]] = {}
    for record in records:
        is_turn = isinstance(record.message, RunMessage) and not record.is_dead
        key = _run_id(record) if is_turn else record.id
        groups.setdefault(key, []).append(record)

    def turn(group: list[_Record]) -> tuple[int, int]:
        receives = max(record.receives for record in group)
        return receives, zlib.crc32(f"{group[0].id}{receives}".encode()) if receives > 1 else 0

    return sorted(groups.values(), key=turn)


def _run_id(record: _Record) -> str:
    message = record.message
    return message.message.run_id if isinstance(message, Delayed) else message.run_id


def _answer(failed: Sequence[str]) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": id} for id in failed]}
