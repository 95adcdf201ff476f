"""The acts of steps: their tasks, the wake-ups of their retries, and what notices that an attempt takes too long."""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta

from worldflow.engine.durations import spoken
from worldflow.engine.history import StepFailed
from worldflow.engine.history.limits import Place
from worldflow.engine.history.state import OpenStep
from worldflow.engine.ids import limit_key
from worldflow.turns.acts.run import ActingRun
from worldflow.turns.attempts import timed_out
from worldflow.worlds import ledger
from worldflow.worlds.messages import Delayed, FactArrived, HeartbeatDue, Outgoing, StepDue, StepTask, call_id
from worldflow.worlds.payloads import Whole, stash


def task(run: ActingRun, step: OpenStep, *, redo: bool = False) -> StepTask:
    """The task of a step's open attempt."""
    scheduled = step.scheduled
    assert step.attempt is not None
    values, known_as = run.input_of(scheduled), None
    if isinstance(values, Whole):
        known_as = call_id(scheduled.name, values.stored)
        values = values if scheduled.inline else stash(run.world, run.id, values.value, "input")
    return StepTask(
        run_id=run.id,
        step_id=scheduled.step_id,
        attempt=step.attempt,
        name=scheduled.name,
        input=values,
        call_id=known_as,
        redo=redo,
        timeout=scheduled.timeout,
        deadline=None if scheduled.inline else step.deadline,
        heartbeats=True if scheduled.heartbeat_timeout else None,
        at_most_once=scheduled.at_most_once,
        ledger=scheduled.ledger,
        waits=True if scheduled.cancellation == "wait" else None,
        origin=step.origin,
        traceparent=run.traceparent(),
        headers=run.headers,
        queue=scheduled.queue,
        slot=_slot(run, step),
    )


def _slot(run: ActingRun, step: OpenStep) -> str | None:
    """The group that stands for a place at an approximate limit."""
    if step.scheduled.limit is None or step.scheduled.is_limited:
        return None
    place = Place.load(step.scheduled.limit)
    attempt = f"{run.id}/{step.scheduled.step_id}/{step.attempt}"
    return limit_key(place.limit, f"{place.key}#{zlib.crc32(attempt.encode()) % (place.declared.concurrency or 1)}")


def report(run: ActingRun, step: OpenStep) -> StepTask:
    """Asks for a report of an attempt that was given up, when no process has it any more."""
    assert step.attempt is not None
    values = step.scheduled.input
    return StepTask(
        run_id=run.id,
        step_id=step.scheduled.step_id,
        attempt=step.attempt,
        name=step.scheduled.name,
        # The same as in the task: the outcome of a different call would be replaced.
        call_id=call_id(step.scheduled.name, values.stored if isinstance(values, Whole) else values),
        again="report",
        report=True,
        queue=step.scheduled.queue,
    )


def begin(run: ActingRun, step: OpenStep) -> list[Outgoing]:
    """Sends the first attempt, unless its limit is to let it through first."""
    if step.scheduled.entity:
        return _call_entity(run, step)
    if step.waits_for_limit:
        return []
    # The ledger of a run that was restored may have an outcome of a step that is scheduled once more.
    return [task(run, step, redo=run.state.restored is not None), *watches(run, step)]


def begin_again(run: ActingRun, step: OpenStep) -> list[Outgoing]:
    """Sends the open attempt once more, or the wake-up of one that is not due yet."""
    if step.attempt is None or run.state.puts_off(step):
        return []
    if step.scheduled.entity:
        return _call_entity(run, step)
    if step.cancel_requested:
        request_cancel(run, step)
    if step.due and step.due > run.world.now():
        return begin_later(run, step)
    if step.scheduled.inline or step.scheduled.is_limited:
        return []
    return [task(run, step, redo=True), *watches(run, step)]


def _call_entity(run: ActingRun, step: OpenStep) -> list[Outgoing]:
    from worldflow.turns.acts.entity_calls import call  # which hardly any turn needs

    return [call(run, step)]


def begin_later(run: ActingRun, step: OpenStep) -> list[Outgoing]:
    """Sends the wake-up of an attempt that is due later."""
    assert step.attempt is not None
    assert step.due is not None
    wake_up = StepDue(run_id=run.id, step_id=step.scheduled.step_id, attempt=step.attempt, after_pause=step.put_off_by)
    return [Delayed(due=step.due, message=wake_up), *watches(run, step)]


def request_cancel(run: ActingRun, step: OpenStep) -> list[Outgoing]:
    """Notifies an attempt, or keeps it from beginning: its outcome is waited for either way."""
    if step.attempt is not None and not step.scheduled.inline:
        ledger.abandon(run.world, run.id, step.scheduled.step_id, step.attempt, awaited=True)
    return []


def watches(run: ActingRun, step: OpenStep) -> list[Outgoing]:
    """The messages that end an attempt which takes too long."""
    if step.scheduled.inline or step.waits_for_limit:
        return []
    found: list[Outgoing] = []
    if step.deadline:
        found.append(Delayed(due=step.deadline, message=timeout(run, step)))
    if step.scheduled.heartbeat_timeout:
        found.append(_heartbeat(run, step, step.dispatched + timedelta(seconds=step.scheduled.heartbeat_timeout)))
    return found


def timeout(run: ActingRun, step: OpenStep) -> FactArrived:
    assert step.scheduled.timeout is not None
    fact = timed_out(step, f"it took longer than {spoken(step.scheduled.timeout)}")
    return FactArrived(run_id=run.id, fact=fact, nonce=timeout_nonce(step))


def timeout_nonce(step: OpenStep) -> str:
    """Tells the timeout of an attempt from one that was counted before a pause."""
    return f"timeout-{step.put_off_by}" if step.put_off_by else "timeout"


def _heartbeat(run: ActingRun, step: OpenStep, due: datetime) -> Delayed:
    assert step.attempt is not None
    message = HeartbeatDue(run_id=run.id, step_id=step.scheduled.step_id, attempt=step.attempt, due=due)
    return Delayed(due=due, message=message)


def check_heartbeat(run: ActingRun, message: HeartbeatDue) -> StepFailed | Delayed | None:
    """The failure of an attempt that has sent no heartbeat in time; the next check of one that has.

    An attempt that has sent none at all is only checked again: its first heartbeat says that it has begun.
    """
    step = run.state.steps.get(message.step_id)
    if step is None or step.attempt != message.attempt or step.scheduled.heartbeat_timeout is None:
        return None
    limit = timedelta(seconds=step.scheduled.heartbeat_timeout)
    beat = ledger.last_beat(run.world, run.id, message.step_id, message.attempt)
    now = run.world.now()
    # Without a beat, at times that do not depend on this check, so that copies of it lead to copies of the next.
    since = message.due - limit if step.waits_for_limit else step.dispatched
    due = beat.at + limit if beat else since + ((now - since) // limit + 1) * limit
    if due > now:
        return _heartbeat(run, step, due)
    return timed_out(step, f"it sent no heartbeat for {spoken(step.scheduled.heartbeat_timeout)}")
