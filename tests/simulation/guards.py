"""What the engine does so that nothing is lost or doubled, and how to take it out: to see that the simulation finds it.

`python -m tests.simulation --without "the ledger is asked"` runs seeds until one fails.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from tests.simulation.queues import FifoQueue
from tests.simulation.world import SimDeaths, SimWorld
from worldflow.engine import here
from worldflow.engine.history import StreamRowsEnd
from worldflow.engine.history.limit_state import LimitState
from worldflow.engine.history.state import RunState
from worldflow.engine.ids import next_generation
from worldflow.engine.own_time import OwnTime
from worldflow.engine.workflow import inbox
from worldflow.turns import calling, draft, forwarding, generations
from worldflow.turns.acts import Acts, children
from worldflow.turns.acts import limits as acting_limits
from worldflow.turns.acts import streams as acting_streams
from worldflow.turns.arrivals import Arrival
from worldflow.turns.draft import Draft
from worldflow.turns.live_run import LiveRun
from worldflow.turns.steps import StepExecutor
from worldflow.turns.streams import Writer
from worldflow.turns.turn import Turn
from worldflow.turns.turns import Turns
from worldflow.turns.watchdog import _Watchdog
from worldflow.worlds import gathering, ledger, limits
from worldflow.worlds.messages import Delayed, StepTask
from worldflow.worlds.records import Gathers, RunRecord

_send, _notify_parent, _revive, _is_new = SimWorld.send, children.notify_parent, forwarding.revive, Turn._is_new
_put_outcome = ledger.put_outcome
_read = inbox.read
_create_generation = generations.create_generation
_take, _send_fifo, _finish_run = Turns.take, FifoQueue.send, Acts.finish
_execute, _apply_run = StepExecutor.execute, RunState.accepts
_append_to_limit, _add_start, _put_item, _closes_at = (
    limits._append,
    gathering.append,
    SimWorld.put_item,
    Gathers.closes_at,
)


def _without_redo(self: Turns, run_id: str, messages: Any, **options: Any) -> None:
    _take(self, run_id, messages, **{**options, "redo": False})


async def _without_ledger(self: StepExecutor, task: Any, *, redelivered: bool = False) -> None:
    await _execute(self, task.model_copy(update={"redo": False}), redelivered=False)


def _without_tail(self: Turn) -> None:
    if events := self._drafted.events:
        self._world.append(self._run_id, events)


def _without_ids(self: RunState, fact: Any) -> bool:
    with mock.patch.object(RunState, "has_seen", lambda *_: False):
        return _apply_run(self, fact)


def _without_attempts(self: RunState, fact: Any) -> bool:
    if fact.event_type in ("StepCompleted", "StepFailed") and not self.ended and self.started:
        return fact.step_id in self.steps
    return _apply_run(self, fact)


def _without_dedup(self: FifoQueue, body: str, now: float, *, group: str, dedup_id: str, delay: float = 0.0) -> bool:
    return _send_fifo(self, body, now, group=group, dedup_id=uuid.uuid4().hex)


def _without_telling_again(self: Acts, events: Any, *, redo: bool) -> Iterator[Any]:
    if events:
        yield from _finish_run(self, events, redo=redo)


def _without_condition(self: SimWorld, record: RunRecord) -> None:
    text = record.model_dump_json(exclude_none=True)

    def put() -> None:
        self.store.records[record.run_id] = record.seq, text

    self.write("update_run", record.run_id, put)


def _keeps_what_failed(self: Turn, error: BaseException | None = None) -> None:
    if self._draft:
        self._end()


def _finish(self: StepExecutor, task: Any, fact: Any) -> None:
    from worldflow.worlds.messages import StepOutcome

    outcome = StepOutcome(run_id=task.run_id, fact=self._stashed(task, fact))
    self._tell(outcome)
    ledger.put_outcome(self._world, outcome)


def _put_over(world: Any, outcome: Any) -> Any:
    world.store.items.pop(ledger.step_key(outcome.run_id, outcome.fact.step_id, outcome.fact.attempt), None)
    return _put_outcome(world, outcome)


def _send_at_once(self: SimWorld, messages: Any) -> None:
    early = self._process.kind == "orchestrator" and len(messages) == 1 and isinstance(messages[0], Delayed)
    _send(self, [messages[0].message] if early else messages)


def _notify_without_nonce(run: Any, parent: Any, child: Any, *, nonce: str) -> Any:
    return _notify_parent(run, parent, child, nonce="")


def _revive_without(world: Any, run_id: str, revival: Any, fact: Any) -> str | None:
    with mock.patch.object(forwarding, "create_generation", _create_empty):
        _revive(world, run_id, revival, fact)
    return next_generation(run_id)


def _create_empty(world: Any, before: Any, record: RunRecord) -> RunRecord | None:
    return _create_generation(world, before, record.model_copy(update={"carried": None, "seen": []}))


def _is_new_or_woken(self: Turn, step: Any) -> bool:
    return _is_new(self, step) or (step.scheduled.step_id, step.attempt) in self._woken


def _read_by_reference(codec: Any, value: Any, what: str, where: str) -> Any:
    return _read(codec, value, what, where) if codec else value


async def _awaited_here(begin: Any, timeout: float | None) -> Any:
    try:
        return calling.Result(await begin(), None)
    except BaseException as error:
        here = asyncio.current_task()
        if here and here.cancelling():
            raise
        return calling.Result(None, error)


def _as_they_come(messages: Any, arrived: Any, state: Any) -> list[Arrival]:
    return [Arrival(message, None) for message in messages]


def _count_blindly(self: Any, rows: Any) -> None:
    """Takes whatever is there for what was to be written."""
    self._rows += [(row.seq, getattr(row, "count", 1)) for row in rows if not isinstance(row, StreamRowsEnd)]


async def _wanted(*_: Any, **__: Any) -> bool:
    return True


def _unread(world: Any, limit: Any, number: int, row: Any) -> bool:
    """Takes a place whether or not others were faster."""
    return _append_to_limit(world, limit, number, row) or True


def _added(world: Any, run_id: str, row: Any) -> bool:
    """Takes a start for added whether or not another was faster."""
    return _add_start(world, run_id, row) or True


def _unconditionally(prefix: str) -> Any:
    def put_item(self: SimWorld, key: str, item: Any, expected: Any = None) -> bool:
        return _put_item(self, key, item, None if key.startswith(prefix) else expected)

    return put_item


def _without_max_wait(self: Gathers, first: Any, last: Any) -> Any:
    return _closes_at(self.model_copy(update={"max_wait": None}) if self.period else self, first, last)


GUARDS: dict[str, tuple[Any, str, Any]] = {
    "a commit is written if it is the next": (SimWorld, "_is_taken", lambda *_: False),
    "what was received before is done again": (Turns, "take", _without_redo),
    "the ledger is asked": (StepExecutor, "execute", _without_ledger),
    "the tail is read": (Turn, "_commit", _without_tail),
    "a fact is recorded once": (RunState, "accepts", _without_ids),
    "an outcome is of the open attempt": (RunState, "accepts", _without_attempts),
    "copies have one id": (FifoQueue, "send", _without_dedup),
    "at most once is claimed": (ledger, "claim", lambda *_: True),
    "an inline step that began is known": (Turn, "_known_outcome", lambda *_: None),
    "what comes late is sent on": (forwarding, "forward", lambda *_, **__: None),
    "the end is told again": (Acts, "finish", _without_telling_again),
    "what is held is applied": (Draft, "_apply_held", lambda *_: None),
    "a record is not replaced by an older one": (SimWorld, "update_run", _without_condition),
    "what failed is discarded": (Turn, "close", _keeps_what_failed),
    "the first outcome stands": (ledger, "put_outcome", _put_over),
    "what is early waits": (SimWorld, "send", _send_at_once),
    "a child is told of the end": (children, "close", lambda *_: None),
    "a child's result is no copy of another's": (children, "notify_parent", _notify_without_nonce),
    "a late signal begins the run": (forwarding, "revive", _revive_without),
    "a blocked inline step is told of": (LiveRun, "waits_for_code", lambda self, woken=(): bool(self.state.held)),
    "a later inline attempt is asked after": (Turn, "_is_new", _is_new_or_woken),
    "the ledger is written first": (StepExecutor, "_finish", _finish),
    "an attempt has a group of its own": (StepTask, "group", property(lambda self: f"{self.run_id}#{self.step_id}")),
    "values take no time of a workflow": (OwnTime, "spent", lambda *_: 0.0),
    "who spins is stopped": (_Watchdog, "_check", lambda *_: None),
    "what happened first is applied first": (
        draft,
        "in_order",
        lambda messages, *_: [Arrival(m, None) for m in messages],
    ),
    "what nobody wants is not begun": (StepExecutor, "_is_wanted", _wanted),
    "a step has a task of its own": (calling, "_awaited", _awaited_here),
    "what is received is a copy": (inbox, "read", _read_by_reference),
    "an outage is no death": (SimDeaths, "take_back", lambda *_: None),
    "a replaced attempt writes no more": (Writer, "_is_replaced_by", lambda *_: False),
    "a later attempt looks at what is there": (Writer, "_look", lambda *_: False),
    "streams are written again": (acting_streams, "redo", lambda run: None),
    "what a stream has is counted": (acting_streams._Writing, "_look", _count_blindly),
    "a limit counts its holders": (LimitState, "room", property(lambda self: len(self.waiting))),
    "a place is given by the next commit": (limits, "_append", _unread),
    "places go by priority": (LimitState, "in_turn", lambda self: iter(list(self.waiting.values()))),
    "a dead holder is found": (acting_limits, "is_closed", lambda *_: False),
    "who has a place is told again": (LimitState, "made_room_for", lambda *_: []),
    "a limited run asks": (Draft, "_enter", lambda *_: None),
    "a start is added if it is the next": (gathering, "append", _added),
    "one run gathers": (SimWorld, "put_item", _unconditionally("window#")),
    "a debounce has an end": (Gathers, "closes_at", _without_max_wait),
    "a throttle gives each place once": (SimWorld, "put_item", _unconditionally("throttle#")),
    "what is paused waits": (Draft, "waits", property(lambda self: self._begins_late)),
    "what is collected decides nothing": (
        here._on_collection,
        "__defaults__",
        (SimpleNamespace(loop=None), *[None] * 2),
    ),
}


@contextmanager
def without(guard: str) -> Iterator[None]:
    """Takes a guard out."""
    owner, name, replacement = GUARDS[guard]
    with mock.patch.object(owner, name, replacement):
        yield
