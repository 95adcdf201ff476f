"""A world whose process dies at a chosen call, and the serving of it across deaths.

A process here is what a Lambda function or a worker keeps in memory: the live executions. When it dies, it is replaced
by a new one, and the messages that it had received come again.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Literal, NoReturn

from tests.support.driver import START, Chance
from tests.support.items import name_of_write
from worldflow.engine.history import Event
from worldflow.engine.ids import run_of_stream
from worldflow.engine.workflow.definitions import Workflow
from worldflow.engine.workflow.execution import Execution
from worldflow.turns.steps import StepExecutor
from worldflow.turns.turns import Turns
from worldflow.worlds.archives import Attempt
from worldflow.worlds.items import Expected, Item
from worldflow.worlds.local.archive import LocalArchive
from worldflow.worlds.local.world import LocalWorld
from worldflow.worlds.messages import Delayed, Message, StepTask
from worldflow.worlds.records import RunRecord
from worldflow.worlds.served import Delivery
from worldflow.worlds.status_events import StatusEvent

When = Literal["before", "after"]


Crashes = Callable[[int, When], bool]
"""Whether the process dies before, or after, the call of this number."""


def never(call: int, when: When) -> bool:
    return False


def once(call: int, when: When) -> Crashes:
    """Dies there, and never again."""
    return lambda number, moment: (number, moment) == (call, when)


def often(chance: random.Random) -> Crashes:
    """Dies here and there, but not as often as makes a message a dead one."""
    rate, deaths = chance.choice([0.02, 0.1, 0.25]), count()
    return lambda number, moment: chance.random() < rate and next(deaths) < 18


class Crash(BaseException):
    """The process dies."""


_dying: list[bool] = []


def die(*_: object) -> NoReturn:
    """The process dies in a step: whatever would come of it, nothing that the process does has an effect any more."""
    _dying[:] = [True]
    raise Crash("in a step")


class CrashingWorld(LocalWorld):
    """Raises `Crash` before or after the calls (writes, sends and acknowledgements, by number) that `crashes` names."""

    def __init__(self, crashes: Crashes = never, path: str = ":memory:") -> None:
        _dying.clear()  # of a process that has made no call any more, in a test before
        self.time = START
        super().__init__(path, clock=self._tick, synchronous="NORMAL", webhook_url="https://example.test/webhooks")
        self.crashes = crashes
        self.calls: list[str] = []
        self.crashed: list[str] = []
        self.announced: list[StatusEvent] = []
        self.asks_to_announce = False
        """Whether announcing is a request, in which the process may die."""

    def _tick(self) -> datetime:
        self.time += timedelta(microseconds=1)
        return self.time

    def _call(self, name: str, method: Callable[..., Any], *args: Any) -> Any:
        number = len(self.calls)
        self.calls.append(name)
        if _dying:
            _dying.clear()
            raise Crash(f"in a step, before {name} ({number})")
        if self.crashes(number, "before"):
            self.crashed.append(f"before {name}")
            raise Crash(f"before {name} ({number})")
        try:
            return method(*args)
        finally:  # also where it was refused
            if self.crashes(number, "after"):
                self.crashed.append(f"after {name}")
                raise Crash(f"after {name} ({number})")

    def together(self) -> AbstractContextManager[object]:
        return nullcontext()  # each write by itself, as on AWS

    def append(self, run_id: str, events: Sequence[Event]) -> None:
        try:
            self._call("append", super().append, run_id, events)
        except Crash:
            if run_of_stream(run_id):
                _dying[:] = [True]  # a step, perhaps, which is not to fail of it and go on
            raise

    def create_run(self, record: RunRecord) -> RunRecord | None:
        return self._call("create_run", super().create_run, record)  # type: ignore[no-any-return]

    def update_run(self, record: RunRecord) -> None:
        self._call("update_run", super().update_run, record)

    def send(self, messages: Sequence[Message | Delayed]) -> None:
        self._call("send", super().send, messages)

    def announce(self, events: Sequence[StatusEvent]) -> None:
        if self.asks_to_announce:
            self._call("announce", self.announced.extend, events)
        else:
            self.announced.extend(events)

    def put_item(self, key: str, item: Item | None, expected: Expected | None = None) -> bool:
        return self._call(name_of_write(key, item), super().put_item, key, item, expected)  # type: ignore[no-any-return]

    def update_item(self, key: str, fields: Item, defaults: Item) -> Item:
        return self._call(  # type: ignore[no-any-return]
            name_of_write(key, fields, defaults), super().update_item, key, fields, defaults
        )

    def cancel_delayed(self, message: Message, deliver_at: datetime, sent_at: datetime) -> None:
        self._call("cancel_delayed", super().cancel_delayed, message, deliver_at, sent_at)

    def put_payload(self, key: str, data: bytes) -> None:
        self._call("put_payload", super().put_payload, key, data)

    def copy_payload(self, key: str, new_key: str) -> None:
        self._call("copy_payload", super().copy_payload, key, new_key)

    @property
    def archive(self) -> LocalArchive:
        return CrashingArchive(self, super().archive)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self._call("acknowledge", super().acknowledge, deliveries)


class CrashingArchive(LocalArchive):
    """The archive of a world that crashes."""

    def __init__(self, world: CrashingWorld, archive: LocalArchive) -> None:
        self._world, self._archive = world, archive

    def get(self, run_id: str) -> bytes | None:
        return self._archive.get(run_id)

    def put(self, run_id: str, data: bytes, *, replace: bool = False, keep_as: str | None = None) -> bool:
        put = functools.partial(self._archive.put, replace=replace, keep_as=keep_as)
        return self._world._call("archive", put, run_id, data)  # type: ignore[no-any-return]

    def seal(self, records: Sequence[RunRecord], reserved: str | None, absent: str | None = None) -> bool:
        return self._world._call("seal", self._archive.seal, records, reserved, absent)  # type: ignore[no-any-return]

    def clear(self, run_id: str, attempts: Sequence[Attempt]) -> None:
        self._world._call("clear", self._archive.clear, run_id, attempts)

    def remaining(self, run_ids: Sequence[str]) -> Sequence[str]:
        return self._archive.remaining(run_ids)

    def forget(self, run_ids: Sequence[str], base: str | None, reserved: str | None) -> None:
        self._world._call("forget", self._archive.forget, run_ids, base, reserved)


def serve(world: CrashingWorld, *, live_limit: int = 200, patience: int = 2_000) -> None:
    """Serves the world, process after process, until nothing is left to do; the clock skips to what is due."""
    while patience:
        turns, executor = Turns(world, live_limit=live_limit, chance=Chance(0.5)), StepExecutor(world)
        try:
            while patience := patience - 1:
                if not (take_turn(world, turns) or _run_step(world, executor)):
                    due = world.next_due()
                    if due is None:
                        return
                    world.time = max(world.time, due)
        except Crash:
            world.recover()
        finally:  # as the end of a process would: what is collected later runs what it has in a `finally`
            turns.close()
            executor.close()
    raise AssertionError("the world does not come to rest")


def settle(world: CrashingWorld, turns: Turns | None = None) -> None:
    """Does what can be done now: the clock stands."""
    own, executor = turns or Turns(world, chance=Chance(0.5)), StepExecutor(world)
    while take_turn(world, own) or _run_step(world, executor):
        pass
    executor.close()
    if turns is None:
        own.close()


Lived = Callable[..., CrashingWorld]
"""A story, lived through in a world with these `crashes` and this `live_limit`."""


def die_at_each_call(lived: Lived, check: Callable[[CrashingWorld], object], when: When) -> None:
    """Lives the story through once for each of its calls, at which the process dies."""
    alive = lived(never)
    check(alive)
    alive.close()
    for call in range(len(alive.calls)):
        world = lived(once(call, when))
        assert world.crashed, "the call was never reached"
        check(world)
        world.close()


def die_often(lived: Lived, check: Callable[[CrashingWorld], object], seed: int) -> None:
    """Lives the story through while processes die here and there, and hold as many runs as it happens."""
    chance = random.Random(seed)
    world = lived(often(chance), live_limit=chance.choice([0, 1, 200]))
    check(world)
    world.close()


def whole_history(world: CrashingWorld, run_id: str, flow: Workflow[..., Any]) -> list[Event]:
    """A run's history, which is numbered, in order, known to the run's record, and replays."""
    history = world.read_events(run_id)
    assert [event.seq for event in history] == list(range(1, len(history) + 1))
    assert [event.at for event in history] == sorted(event.at for event in history)
    record = world.get_run(run_id)
    assert record and record.seq == len(history), (run_id, world.crashed)
    execution = Execution(run_id, flow)
    execution.replay(history)
    execution.dispose()
    return history


def persist(action: Callable[[], object]) -> None:
    """Does what a client does whose request failed: asks again."""
    for _ in range(20):
        try:
            action()
            return
        except Crash:
            continue
    raise AssertionError("the request never succeeds")


def take_turn(world: CrashingWorld, turns: Turns) -> bool:
    """Takes the next turn, if one is asked for by now."""
    deliveries = world.receive("runs")
    if deliveries:
        messages: list[Any] = [delivery.message for delivery in deliveries]
        turns.take(messages[0].run_id, messages, redo=any(delivery.redelivered for delivery in deliveries))
        world.acknowledge(deliveries)
    return bool(deliveries)


def _run_step(world: CrashingWorld, executor: StepExecutor) -> bool:
    deliveries = world.receive("steps", 1)
    for delivery in deliveries:
        assert isinstance(delivery.message, StepTask)
        asyncio.run(executor.execute(delivery.message, redelivered=delivery.redelivered))
        world.acknowledge([delivery])
    return bool(deliveries)
