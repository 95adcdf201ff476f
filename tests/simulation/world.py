"""A World in memory with the ways of DynamoDB, SQS and EventBridge Scheduler: each request may fail in each way.

A `SimWorld` is the world as one process sees it: with a clock of its own, which may be wrong. What all processes share
is the `Store` and the queues.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tests.simulation.archive import SimArchive
from tests.simulation.faults import INJECTED, READING, SENDING, WRITING, Fault, SentInPart, Throttled, TimedOut
from tests.simulation.programs import STEPS
from tests.support.items import name_of_write
from worldflow.engine.errors import ConflictError, RunArchivedError
from worldflow.engine.history import (
    Event,
    dump_events,
    load_events,
)
from worldflow.settings import Settings
from worldflow.worlds.aws.deaths import AWSDeaths
from worldflow.worlds.base import World
from worldflow.worlds.filters import Selection
from worldflow.worlds.items import Expected, Item
from worldflow.worlds.ledger import step_key
from worldflow.worlds.messages import Delayed, Message, StepOutcome, StepTask
from worldflow.worlds.outages import OutageError
from worldflow.worlds.records import HookRecord, RunPage, RunRecord, Status
from worldflow.worlds.schedule_records import ScheduleRecord

if TYPE_CHECKING:
    from tests.simulation.processes import Process
    from tests.simulation.simulation import Simulation

T = TypeVar("T")
M = TypeVar("M", Message, Delayed)

_Sending = Callable[[], None]

_SERVICES = {
    **dict.fromkeys(("send", "acknowledge", "postpone"), "sqs"),
    **dict.fromkeys(("put_payload", "get_payload", "copy_payload"), "s3"),
    **dict.fromkeys(("schedule", "unschedule", "arm_schedule"), "scheduler"),
}
"""The services that requests go to, by the first words of their names, where it is not DynamoDB."""

BATCH = 10
LONGEST_DELAY = timedelta(minutes=15)
SCHEDULER_MARGIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Commit:
    """One item of the table of histories, and what is known of its making."""

    first: int
    last: int
    text: str
    at: float
    """By the true clock."""
    tick: int
    invocation: int
    code: str


@dataclass(slots=True)
class Store:
    """What DynamoDB, S3 and Scheduler keep."""

    commits: dict[str, list[Commit]] = field(default_factory=dict)
    records: dict[str, tuple[int, str]] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    written_at: dict[str, float] = field(default_factory=dict)
    """When each item was written last."""
    taken_late: set[str] = field(default_factory=set)
    """Tokens of hooks that a turn took, and children that it created, which outlived its visibility."""
    deaths: dict[str, set[str]] = field(default_factory=dict)
    """What was begun on messages, by their keys, and not taken back."""
    owed: Counter[str] = field(default_factory=Counter)
    """What is still to be taken back: by processes that may be gone."""
    counted: Counter[str] = field(default_factory=Counter)
    """What of that was counted as deaths."""
    payloads: dict[str, bytes] = field(default_factory=dict)
    archives: dict[str, bytes] = field(default_factory=dict)
    sealed: set[str] = field(default_factory=set)
    reserved: set[str] = field(default_factory=set)
    schedules: dict[str, tuple[float, str]] = field(default_factory=dict)
    """When each fires, and the message that it sends."""

    def history(self, run_id: str) -> list[Event]:
        return [event for commit in self.commits.get(run_id, ()) for event in load_events(commit.text)]

    def record(self, run_id: str) -> RunRecord | None:
        found = self.records.get(run_id)
        return RunRecord.model_validate_json(found[1]) if found else None

    def outcome(self, run_id: str, step_id: str, attempt: int) -> StepOutcome | None:
        item = self.items.get(step_key(run_id, step_id, attempt))
        return StepOutcome.model_validate_json(item["outcome"]) if item else None

    @property
    def hooks(self) -> dict[str, HookRecord]:
        """Who holds each token."""
        found = (HookRecord.model_validate_json(item["hook"]) for item in self.items.values() if "hook" in item)
        return {hook.token: hook for hook in found}


class Sealed:
    """A codec that tells whether data comes back as that of the run that it was encoded for."""

    def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        return f"{context['run_id']} ".encode() + data[::-1]

    def decode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        owner, _, reverse = data.partition(b" ")
        assert owner.decode() == context["run_id"], f"data of {owner!r} is read as that of {context}"
        return reverse[::-1]


class SimWorld(World):
    """The world as `process` sees it. `sent` are the messages that it was told were taken."""

    def __init__(self, sim: Simulation, process: Process, settings: Settings, skew: float) -> None:
        self.settings = settings
        self.sent: list[Message | Delayed] = []
        self.inline_limit = sim.inline_limit
        self.codec = sim.codec
        self._sim = sim
        self.store = sim.store
        self._process = process
        self._skew = skew

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._sim.now + self._skew, UTC)

    # --- requests ---

    def _request(self, name: str, about: str, effect: Callable[[], T], kinds: Iterable[Fault]) -> T:
        place = f"{self._process.kind} {name} {about}"
        self._sim.before_request(self._process, place)
        self._check_service(name, about)
        return self._with_fault(self._strike(place, kinds), name, about, effect)

    def _check_service(self, name: str, about: str) -> None:
        """Raises what a client sees of a service that is away."""
        service = _SERVICES.get(name.split()[0], "dynamodb")
        if self._sim.incidents.is_away(service) and not self._process.is_zombie:
            self._sim.strikes.setdefault(self._process.invocation, []).append(self._sim.tick)
            self._sim.note(about, f"*** {service} is away: {name}", self._process)
            raise Throttled(name) if self._sim.tick % 2 else TimedOut()

    def _strike(self, place: str, kinds: Iterable[Fault]) -> Fault | None:
        # One that outlives its visibility and then fails leaves no message that comes again: only the sweep helps then.
        return None if self._process.is_zombie else self._sim.faults.strike(place, kinds)

    def _with_fault(self, fault: Fault | None, name: str, about: str, effect: Callable[[], T]) -> T:
        sim, process = self._sim, self._process
        if fault is None:
            sim.note(about, name, process)
            return effect()
        sim.strike(fault, process, about, name)
        match fault:
            case "crash before a call":
                raise process.die()
            case "unknown outcome, no effect":
                raise TimedOut()
            case "throttled":
                raise Throttled(name)
        effect()
        match fault:
            case "crash after a call":
                raise process.die()
            case "unknown outcome, took effect":
                raise TimedOut()
        return effect()  # the request was repeated by the client

    def read(self, name: str, about: str, effect: Callable[[], T]) -> T:
        return self._request(name, about, effect, READING)

    def write(self, name: str, about: str, effect: Callable[[], T]) -> T:
        return self._request(name, about, effect, WRITING)

    # --- history ---

    def load_history(self, run_id: str, after: int = 0, commits: int | None = None) -> list[Event]:
        def load() -> list[Event]:
            stored = self.store.commits.get(run_id, [])
            if commits is not None:
                found = [commit for commit in stored if commit.first > after][:commits]
            else:
                found = [commit for commit in stored if commit.last > after]
            return [event for commit in found for event in load_events(commit.text) if event.seq > after]

        return self.read("load_history", run_id, load)

    def append(self, run_id: str, events: Sequence[Event]) -> None:
        first, last, text = events[0].seq, events[-1].seq, dump_events(events)
        sim = self._sim

        def put() -> bool:
            stored = self.store.commits.setdefault(run_id, [])
            if self._is_taken(stored, first):
                return False
            code = self._process.code.name
            stored.append(Commit(first, last, text, sim.now, sim.tick, self._process.invocation, code))
            sim.note(run_id, f"commits {', '.join(map(_brief, events))}", self._process)
            return True

        if len(text) > sim.item_limit:
            key = f"{run_id}/commit-{first}-{hashlib.sha256(text.encode()).hexdigest()}"
            self.put_payload(key, text.encode())
        if not self.write("append", run_id, put):
            sim.note(run_id, f"conflict at event {first}", self._process)
            sim.strikes.setdefault(self._process.invocation, []).append(sim.tick)
            raise ConflictError(f"run {run_id!r} has an event {first} already")

    def _is_taken(self, commits: Sequence[Commit], first: int) -> bool:
        return any(commit.first == first for commit in commits)

    # --- records ---

    def create_run(self, record: RunRecord) -> RunRecord | None:
        text = record.model_dump_json(exclude_none=True)

        def put() -> bool:
            if record.run_id in self.store.reserved:
                raise RunArchivedError(
                    f"the run that {record.run_id!r} would continue is being archived", record.run_id
                )
            if record.run_id in self.store.records:
                return False
            self.store.records[record.run_id] = record.seq, text
            if self._process.is_zombie:
                self.store.taken_late.add(record.run_id)
            return True

        while not self.write("create_run", record.run_id, put):
            if existing := self.get_run(record.run_id):
                # A request whose answer was lost is repeated by the client, and finds what it has written itself.
                return None if existing == record else existing
        return None

    def get_run(self, run_id: str) -> RunRecord | None:
        return self.read("get_run", run_id, lambda: self.store.record(run_id))

    def update_run(self, record: RunRecord) -> None:
        text = record.model_dump_json(exclude_none=True)

        def put() -> None:
            stored = self.store.records.get(record.run_id)
            if stored and stored[0] <= record.seq and record.run_id not in self.store.sealed:
                self.store.records[record.run_id] = record.seq, text

        self.write("update_run", record.run_id, put)

    def page_of_runs(self, selection: Selection, limit: int, cursor: str | None) -> RunPage:
        raise NotImplementedError

    def walk_runs(self, status: Status, created_before: datetime | None = None) -> Iterator[RunRecord]:
        ids = self.read("walk_runs", "", lambda: sorted(self.store.records))
        for run_id in ids:
            record = self.store.record(run_id)
            if record and record.status == status and (created_before is None or record.created_at < created_before):
                yield record.model_copy(update=dict.fromkeys(("input", "result", "error", "blocked_reason")))

    # --- items ---

    def get_item(self, key: str) -> Item | None:
        return self.read(f"get_item {key}", _about(key), lambda: self.store.items.get(key))

    def put_item(self, key: str, item: Item | None, expected: Expected | None = None) -> bool:
        def put() -> bool:
            if expected and not expected.holds(self.store.items.get(key)):
                return False
            if item is None:
                self.store.items.pop(key, None)
            else:
                self._keep(key, item)
            return True

        return self.write(f"{name_of_write(key, item)} {key}", _about(key), put)

    def update_item(self, key: str, fields: Item, defaults: Item) -> Item:
        def update() -> Item:
            self._keep(key, {**defaults, **self.store.items.get(key, {}), **fields})
            return self.store.items[key]

        return self.write(f"{name_of_write(key, fields, defaults)} {key}", _about(key), update)

    def list_items(self, prefix: str, limit: int, after: str) -> Sequence[Item]:
        raise NotImplementedError

    def _keep(self, key: str, item: Item) -> None:
        self.store.items[key], self.store.written_at[key] = item, self._sim.now
        if "hook" in item and self._process.is_zombie:
            self.store.taken_late.add(HookRecord.model_validate_json(item["hook"]).token)

    @property
    def webhooks(self) -> SimWebhooks:  # type: ignore[override]
        return SimWebhooks()

    # --- messages ---

    def send(self, messages: Sequence[Message | Delayed]) -> None:
        """As `AWSWorld` does it: requests side by side, those with messages of one group one after the other."""
        now = self.now()
        prompt = [message for message in messages if not isinstance(message, Delayed)]
        prompt += [one.message for one in messages if isinstance(one, Delayed) and one.due <= now]
        for task in prompt:
            if isinstance(task, StepTask) and task.name in STEPS:
                assert task.queue == STEPS[task.name].queue, "a task has left its step queue"
        later = [one for one in messages if isinstance(one, Delayed) and one.due > now]
        lanes: list[list[_Sending]] = [
            [self._later(batch)] for batch in _batches([o for o in later if _is_near(o, now)])
        ]
        lanes += [[partial(self._schedule, one)] for one in later if not _is_near(one, now)]
        for queue, is_task in (("steps", True), ("runs", False)):
            batches = _batches([message for message in prompt if isinstance(message, StepTask) == is_task])
            groups = [group for batch in batches for group in {message.group for message in batch}]
            requests = [self._prompt(queue, batch) for batch in batches]
            lanes += [[request] for request in requests] if len(groups) == len(set(groups)) else [requests]
        self._make(lanes, messages)
        self.sent += messages

    def _make(self, lanes: Sequence[Sequence[_Sending]], messages: Sequence[Message | Delayed]) -> None:
        about = _run_id(messages[0]) if messages else ""
        place, first_error, made = f"{self._process.kind} between {about}", None, 0
        for lane in sorted(lanes, key=lambda _: self._sim.faults.fraction(f"order of {place}")):
            for request in lane:
                if made and self._strike(place, ["crash between two sends"]):
                    self._sim.strike("crash between two sends", self._process, about, f"{made} were made")
                    raise self._process.die()
                made += 1
                try:
                    request()
                except INJECTED as error:
                    first_error = first_error or error
                    break
        if first_error:
            raise first_error

    def _prompt(self, queue: str, batch: Sequence[Message]) -> _Sending:
        def take(part: Sequence[Message] = batch) -> None:
            for message in part:
                self._sim.enqueue(queue, message)

        label = ", ".join(message.dedup_id for message in batch)
        return partial(self._send_batch, f"send to {queue}: {label}", batch, take)

    def _later(self, batch: Sequence[Delayed]) -> _Sending:
        now = self.now()

        def take(part: Sequence[Delayed] = batch) -> None:
            for one in part:
                self._sim.delay(one, math.ceil((one.due - now).total_seconds()))

        label = ", ".join(f"{one.message.dedup_id} in {one.due - now}" for one in batch)
        return partial(self._send_batch, f"send {label}", batch, take)

    def _send_batch(self, name: str, batch: Sequence[Any], take: Callable[..., None]) -> None:
        sim, about = self._sim, _run_id(batch[0])
        place = f"{self._process.kind} send {about}"
        sim.before_request(self._process, place)
        self._check_service("send", about)
        fault = self._strike(place, SENDING)
        match fault:
            case "batch sent in part" if len(batch) > 1:
                sim.strike(fault, self._process, about, name)
                left_out = int(sim.faults.fraction(place) * len(batch))
                take([one for index, one in enumerate(batch) if index != left_out])
                raise SentInPart(f"1 of {len(batch)} messages were not sent: simulated") from OutageError("simulated")
            case "copy after the deduplication window":
                # Somebody's own retry, long after. Not of a task: a copy of one that the engine sends says that it is.
                if copies := [one for one in batch if not isinstance(one, StepTask)]:
                    sim.strike(fault, self._process, about, name)
                    sim.at(sim.now + 301 + 900 * sim.faults.fraction(place), lambda: take(copies))
                fault = None
            case "batch sent in part":
                fault = None
        self._with_fault(fault, name, about, take)

    def _schedule(self, delayed: Delayed) -> None:
        fires = math.floor((delayed.due - SCHEDULER_MARGIN).timestamp())

        def create() -> None:
            if (name := _schedule_name(delayed)) not in self.store.schedules:
                self.store.schedules[name] = fires, delayed.dump()
                self._sim.schedule_created(name)

        self.write(f"schedule {delayed.message.dedup_id} at {delayed.due}", delayed.message.run_id, create)

    def cancel_delayed(self, message: Message, deliver_at: datetime, sent_at: datetime) -> None:
        if deliver_at - sent_at > LONGEST_DELAY and deliver_at - self.now() > SCHEDULER_MARGIN:
            name = _schedule_name(Delayed(due=deliver_at, message=message))
            self.write(f"unschedule {message.dedup_id}", message.run_id, lambda: self.store.schedules.pop(name, None))

    def acknowledge(self, queue_arn: str, receipts: Sequence[str]) -> None:
        (queue,) = [queue for queue in self._sim.queues.values() if queue.arn == queue_arn]

        def delete() -> None:
            for message in list(queue.messages):
                if f"{message.id}#{message.receipt}" in receipts:
                    queue.delete(message, message.receipt, self._sim.now)

        self.write(f"acknowledge {len(receipts)}", "", delete)

    def postpone(self, queue_arn: str, waits: Mapping[str, int]) -> None:
        (queue,) = [queue for queue in self._sim.queues.values() if queue.arn == queue_arn]

        def change() -> None:
            for message in queue.messages:
                if (seconds := waits.get(f"{message.id}#{message.receipt}")) is not None:
                    message.visible_at = min(message.visible_at, self._sim.now + seconds)

        self.write(f"postpone {len(waits)}", "", change)

    @property
    def deaths(self) -> SimDeaths:
        return SimDeaths(self)

    def set_aside(self, queue_arn: str, body: str, id: str) -> bool:
        self._sim.surprise(f"a message in {queue_arn} cannot be read: {body}")
        return False

    # --- payloads ---

    def put_payload(self, key: str, data: bytes) -> None:
        def put() -> None:
            self.store.payloads[key] = data

        self.write("put_payload", key.partition("/")[0], put)

    def get_payload(self, key: str) -> bytes:
        return self.read("get_payload", key.partition("/")[0], lambda: self.store.payloads[key])

    def copy_payload(self, key: str, new_key: str) -> None:
        def copy() -> None:
            self.store.payloads[new_key] = self.store.payloads[key]

        self.write("copy_payload", new_key.partition("/")[0], copy)

    # --- what else there is ---

    @property
    def archive(self) -> SimArchive:
        return SimArchive(self)

    def arm_schedule(self, record: ScheduleRecord) -> None:
        self.write("arm_schedule", record.schedule_id, lambda: self._sim.recurring.arm(record, self.now()))

    def disarm_schedule(self, schedule_id: str) -> None:
        raise NotImplementedError


class SimWebhooks:
    def url(self, token: str) -> str:
        return f"https://example.test/webhooks/{token}"

    def keys(self) -> Sequence[bytes]:
        return [b"the key of the simulation"]

    def newer_keys(self) -> Sequence[bytes]:
        return ()


class SimDeaths(AWSDeaths):
    """What is begun on messages, in the store."""

    def __init__(self, world: SimWorld) -> None:
        self._access: Any = world
        self._owed = world._process.owed

    def _write(self, key: str, token: str, *, adds: bool) -> int:
        begun = self._access.store.deaths

        def put() -> int:
            tokens = begun.setdefault(key, set())
            tokens.add(token) if adds else tokens.discard(token)
            return len(tokens)

        left = int(self._access.write(f"{'note' if adds else 'take back'} {key}", "", put))
        self._access.store.owed[key] -= not adds
        return left

    def _owe(self, key: str, token: str) -> None:
        super()._owe(key, token)
        self._access.store.owed[key] += 1

    def count(self, key: str) -> int:
        store = self._access.store

        def count() -> int:
            store.counted[key] = max(store.counted[key], store.owed[key])
            return len(store.deaths.get(key, ()))

        return int(self._access.read(f"count deaths {key}", "", count))


def _about(key: str) -> str:
    """The run that an item is of, or the token."""
    return key.split("#")[1]


def _is_near(delayed: Delayed, now: datetime) -> bool:
    return delayed.due - now <= LONGEST_DELAY


def _run_id(message: Message | Delayed) -> str:
    return message.message.run_id if isinstance(message, Delayed) else message.run_id


def _batches(messages: Sequence[M]) -> list[Sequence[M]]:
    return [messages[start : start + BATCH] for start in range(0, len(messages), BATCH)]


def _schedule_name(delayed: Delayed) -> str:
    return hashlib.sha256(f"{delayed.message.dedup_id}@{delayed.due.isoformat()}".encode()).hexdigest()


def _brief(event: Event) -> str:
    """An event in a word or two."""
    kept = (
        getattr(event, name, None) for name in ("step_id", "timer_id", "child_id", "hook_id", "signal_id", "fact_id")
    )
    return " ".join([f"{event.seq} {event.event_type}", *(str(id) for id in kept if id)])
