"""One seed: a stack of functions and queues, its users, and what befalls them."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any
from unittest import mock

from tests.simulation.deployments import Code, Deployments
from tests.simulation.determinism import expected_errors, held_still
from tests.simulation.executions import Execution, observe_step
from tests.simulation.faults import Crash, Fault, Faults
from tests.simulation.incidents import Incidents
from tests.simulation.processes import Kind, Process, Source, settings_of
from tests.simulation.processor import processor
from tests.simulation.queues import FifoQueue, Queue, StandardQueue, Stored
from tests.simulation.recurring import Recurring
from tests.simulation.world import Sealed, Store
from tests.support.generated import collections
from worldflow.serving.outages import TURN_DEATHS, TURN_RECEIVES
from worldflow.turns.acts import acts
from worldflow.turns.live_runs import LiveRuns
from worldflow.worlds import limits
from worldflow.worlds.messages import Delayed, Message, load_message, safe_id

START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()

LIMIT = 6_000
"""Happenings of a seed. One that has more goes round in circles."""

DEPTH = 3
"""So many invocations are at work in the middle of another at most."""


class Stuck(Exception):
    """The simulation does not come to rest."""


@dataclass(frozen=True, slots=True)
class Note:
    """A line of the trace."""

    tick: int
    at: float
    about: str
    process: str
    text: str

    def __str__(self) -> str:
        return f"{self.tick:6} {self.at - START:12.3f}  {self.process:16} {self.text}"


@dataclass(slots=True)
class Report:
    """What came of a seed."""

    seed: int
    problems: list[str]
    injected: Counter[str]
    struck: list[str]
    happenings: int
    commits: int
    swept: Counter[str]
    """The runs that only the sweep could help, by how it found them."""
    runs: Counter[str]
    """By how they ended."""
    notes: list[Note] = field(repr=False, default_factory=list)
    run_ids: list[str] = field(default_factory=list)


class Simulation:
    """The stack. `now` is the true time; `tick` counts requests."""

    def __init__(self, seed: int, suppressed: Collection[str] = ()) -> None:
        self.seed = seed
        self.chance = random.Random(f"{seed} course")
        swarm = random.Random(f"{seed} swarm")
        self.faults = Faults(seed, swarm, suppressed)
        self.now = START
        self.tick = 0
        self.inline_limit = swarm.choice([64 * 1024, 64 * 1024, 120])
        self.item_limit = swarm.choice([350_000, 350_000, 1_500])
        self.codec = swarm.choice([None, None, Sealed()])
        self.archives = swarm.random() < 0.3
        self.page = swarm.choice([100, 100, 2])
        self.skew = swarm.choice([0.0, 0.0, 0.5, 3.0, 45.0])
        self.sealed_after = random.Random(f"{seed} seals").choice([500, 10])
        """Commits of a limit."""
        self.store = Store()
        self.queues = _queues()
        self.sources = _sources(self.queues)
        self.settings = settings_of([queue for name, queue in self.queues.items() if name.startswith("dead")])
        self.deployments = Deployments(partial(observe_step, self))
        self.code = swarm.choice([self.deployments.good, self.deployments.good, self.deployments.old])
        self.executions: dict[tuple[str, str, int], list[Execution]] = {}
        self.strikes: dict[int, list[int]] = {}
        """The ticks of the faults that struck each invocation."""
        self.began: dict[int, int] = {}
        self.ended: dict[int, int] = {}
        """The ticks between which each invocation was at work."""
        self.sent_facts: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.sent_first: dict[tuple[str, str], Stored] = {}
        self.read_facts = 0
        """What `ownership.sent_facts` has read: what was sent, and the first message that said so."""
        self.held_back: dict[str, str] = {}
        """Tasks that were not received since another was in flight, and which one."""
        self.known_runs: dict[str, tuple[Any, Any]] = {}
        """What `runs.run_of` has read, and of which state of the store."""
        self.surprises: list[str] = []
        self.outlived = set[int]()
        """The invocations that took longer than their messages were out of sight."""
        self.deaths = Counter[str]()
        """How often a function died with each message."""
        self.is_swept = False
        """A day has passed since all went well."""
        self.swept = Counter[str]()
        self.notes: list[Note] = []
        self.happenings = 0
        self.was_bad = self.code is not self.deployments.good
        self.incidents = Incidents(self, swarm)
        self.recurring = Recurring(self)
        self._limits: dict[Kind, int] = {"orchestrator": swarm.choice([1, 2, 4]), "executor": swarm.choice([1, 2, 4])}
        self._processes: list[Process] = []
        self._names = itertools.count(1)
        self._invocations = itertools.count(1)
        self._orders = itertools.count(1)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._stack: list[Process] = []

    # --- what is told ---

    def note(self, about: str, text: str, process: Process | None = None) -> None:
        self.notes.append(Note(self.tick, self.now, about, process.name if process else "", text))

    def note_batch(self, process: Process, source: Source, messages: list[Stored]) -> None:
        for message in messages:
            content: Any = load_message(message.body)
            inner = content.message if isinstance(content, Delayed) else content
            label = f"{type(content).__name__} {inner.dedup_id}, receive {message.receives}"
            self.note(inner.run_id, f"receives from {source.queue.name}: {label}", process)

    def strike(self, fault: Fault, process: Process, about: str, what: str) -> None:
        self.strikes.setdefault(process.invocation, []).append(self.tick)
        self.note(about, f"*** {fault}: {what}", process)

    def surprise(self, text: str, error: BaseException | None = None) -> None:
        self.surprises.append(text)
        self.note("", f"!!! {text}")

    # --- processes ---

    @contextmanager
    def running(self, process: Process) -> Iterator[None]:
        """Makes the process the one that is at work."""
        self._stack.append(process)
        try:
            with process.code.active():
                yield
        finally:
            self._stack.pop()

    @cached_property
    def reader(self) -> Process:
        """A process outside that only reads."""
        return self.client()

    @property
    def at_work(self) -> Process:
        return self._stack[-1]

    def next_invocation(self) -> int:
        number = next(self._invocations)
        self.began[number] = self.tick
        return number

    def invocation_ended(self, process: Process) -> None:
        self.ended[process.invocation] = self.tick
        if not process.is_alive or process.code is not self.code:
            self._discard(process)

    def client(self) -> Process:
        """A process outside, for one request."""
        process = Process(self, f"client-{next(self._names)}", "client", self.code, self.settings, self._some_skew())
        process.invocation, process.began = self.next_invocation(), self.now
        return process

    def blocked_for_deaths(self, run_id: str) -> None:
        """A turn is taken without the code, since it has died again and again. Its message may be gone by now. Of a
        first receive nothing is known.
        """
        group = safe_id(run_id)
        sent = [message for message in self.queues["runs"].sent if message.group == group]
        known = [self.deaths[message.id] + self.store.owed[f"dead#{message.id}"] for message in sent]
        if max(known, default=0) < TURN_DEATHS - 1:
            self.surprise(f"{run_id} is to be blocked, and its turns have died {known} times")

    def deploy(self, code: Code) -> None:
        """Idle processes are gone; those that are at work end it with the code that they have."""
        self.code = code
        self.was_bad |= code is not self.deployments.good
        self.note("", f"=== deployed: {code.name}")
        self.lose_warm_processes()

    def lose_warm_processes(self) -> None:
        for process in [process for process in self._processes if not process.is_busy]:
            self._discard(process)

    def close(self) -> None:
        for process in list(self._processes):
            self._discard(process)

    def _discard(self, process: Process) -> None:
        process.close()
        if process in self._processes:
            self._processes.remove(process)

    def _idle(self, kind: Kind) -> Process | None:
        """A process that takes the next batch, if one may."""
        processes = [process for process in self._processes if process.kind == kind]
        idle = [process for process in processes if not process.is_busy]
        if idle and (self.chance.random() < 0.7 or len(processes) >= self._limits[kind]):
            return self.chance.choice(idle)
        if len(processes) >= self._limits[kind]:
            return None
        process = Process(self, f"{kind}-{next(self._names)}", kind, self.code, self.settings, self._some_skew())
        self._processes.append(process)
        return process

    def _may_work(self, kind: Kind) -> bool:
        if self.now < self.incidents.away_until(kind):
            return False
        processes = [process for process in self._processes if process.kind == kind]
        return len(processes) < self._limits[kind] or any(not process.is_busy for process in processes)

    def _some_skew(self) -> float:
        return self.chance.uniform(-self.skew, self.skew)

    # --- requests of processes ---

    def before_request(self, process: Process, place: str) -> None:
        """A request takes some time, in which others may be at work. Raises `Crash` in a process that is no more."""
        if not process.is_alive:
            raise Crash(process.name)
        self.tick += 1
        self.now += 0.008
        if self.faults.strike(f"meanwhile {place}", ["other work meanwhile"]):
            self._meanwhile(self.now)
        may_outlive = process.kind != "client" and not any(other.is_busy and other.is_zombie for other in self._stack)
        if may_outlive and self.faults.strike(f"long {place}", ["outlives its visibility"]):
            self.strike("outlives its visibility", process, "", place)
            process.is_zombie = True
            self.outlived.add(process.invocation)
            self.pass_time(self.queues["steps" if process.kind == "executor" else "runs"].visibility + 2)
        if process.is_out_of_time():
            self.note("", "out of time", process)
            self.strikes.setdefault(process.invocation, []).append(self.tick)
            raise process.die()

    def collects(self) -> bool:
        """Whether the garbage collector begins here, in the middle of a workflow's code."""
        return bool(self._stack) and self.faults.strike(f"collector {self._stack[-1].kind}", ["collection"]) is not None

    # --- messages ---

    def enqueue(self, queue: str, message: Message) -> None:
        kept = self.queues[queue].send(message.dump(), self.now, group=message.group, dedup_id=message.dedup_id)
        if not kept:
            self.note(message.run_id, f"the queue of {queue} drops a copy of {message.dedup_id}")

    def delay(self, delayed: Delayed, seconds: int) -> None:
        self.queues["timers"].send(delayed.dump(), self.now, delay=seconds)

    def schedule_created(self, name: str) -> None:
        fires, _ = self.store.schedules[name]
        late = 60 * self.faults.fraction("scheduler")
        self.at(max(self.now, fires) + late, lambda: self._fire(name))

    def _fire(self, name: str) -> None:
        found = self.store.schedules.pop(name, None)
        if found is None:
            return
        self.queues["timers"].send(found[1], self.now)
        if self.faults.strike("schedule", ["schedule fires twice"]):
            self.at(self.now + 40, lambda: self.queues["timers"].send(found[1], self.now) and None)

    def give_up(self, why: str) -> None:
        """Ends a seed in which somebody waits for ever."""
        self.surprise(why)
        self.happenings = LIMIT

    # --- time ---

    def at(self, moment: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (moment, next(self._orders), do))

    def pass_time(self, seconds: float) -> None:
        """Lets time pass in the middle of an invocation: others are at work meanwhile."""
        until = self.now + seconds
        while (moment := self._next_time()) is not None and moment <= until:
            if not self._meanwhile(moment):
                break
        self._pass_to(until)

    def _meanwhile(self, moment: float) -> bool:
        if len(self._stack) > DEPTH:
            return False
        self._pass_to(moment)
        if asyncio._get_running_loop() is None:
            return self.happen()
        # A loop runs in this thread, and another cannot run within it.
        outcome: list[Any] = []

        def work() -> None:
            try:
                outcome.append(self.happen())
            except BaseException as error:
                outcome.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return bool(outcome[0])

    def _pass_to(self, moment: float) -> None:
        if moment > self.now:
            queue = self.queues["steps"]
            assert isinstance(queue, FifoQueue)
            for task, other in queue.held_back(self.now):
                if task.attempt != other.attempt:
                    self.held_back[task.dedup_id] = other.dedup_id
            self.now = moment

    def _next_time(self) -> float | None:
        known: list[float] = []
        for source in self.sources:
            if (moment := source.queue.next_time()) is not None:
                known.append(max(moment, self.incidents.away_until(source.kind)))
        return min([*known, *(moment for moment, _, _ in self._agenda[:1])], default=None)

    def happen(self) -> bool:
        """Lets one thing happen that can happen now. Returns whether there was one."""
        self.happenings += 1
        if self.happenings > LIMIT:
            raise Stuck(f"{LIMIT} things have happened, and there is no end")
        if self.happenings == self.incidents.until:
            self.incidents.mend()
        if self.faults.strike("warm", ["warm process lost"]):
            self.note("", "*** warm processes lost")
            self.lose_warm_processes()
        choices: list[Callable[[], None]] = [
            lambda source=source: self._deliver(source)  # type: ignore[misc]
            for source in self.sources
            if source.queue.is_ready(self.now) and self._may_work(source.kind)
        ]
        if self._agenda and self._agenda[0][0] <= self.now:
            choices.append(lambda: heapq.heappop(self._agenda)[2]())
        if not choices:
            return False
        self.chance.choice(choices)()
        return True

    def _deliver(self, source: Source) -> None:
        process = self._idle(source.kind)
        if process is None:
            return
        limit = source.batch if source.batch == 1 else self.chance.choice([1, 2, source.batch])
        messages = source.queue.receive(self.now, limit, self.chance)
        if not messages:
            return
        if isinstance(source.queue, StandardQueue) and self.faults.strike("standard", ["delivered twice"]):
            self.strike("delivered twice", process, "", messages[0].id)
            source.queue.show_again(messages[0], self.now)
        process.take(source, messages)

    def settle(self, until: float | None = None) -> None:
        """Lets happen all that happens by itself, from moment to moment."""
        while (moment := self._next_time()) is not None and (until is None or moment <= until):
            self._pass_to(moment)
            self.happen()

    def run_ids(self) -> list[str]:
        return sorted(self.store.records)

    def standing(self, run_id: str) -> tuple[str, int]:
        """The status of a run, and how many commits it has."""
        record = self.store.record(run_id)
        assert record
        return record.status, len(self.store.commits.get(run_id, ()))

    def open_runs(self) -> list[str]:
        return [run_id for run_id in self.run_ids() if (record := self.store.record(run_id)) and not record.ended]


def _queues() -> dict[str, Queue]:
    four_days, two_weeks = 4 * 86_400.0, 14 * 86_400.0
    dead: dict[str, Queue] = {
        "dead runs": FifoQueue("dead-runs.fifo", 90, two_weeks),
        "dead steps": FifoQueue("dead-steps.fifo", 90, two_weeks),
        "dead timers": StandardQueue("dead-timers", 90, two_weeks),
    }
    return {
        "runs": FifoQueue("runs.fifo", 90, four_days, dead["dead runs"], TURN_RECEIVES),
        "steps": FifoQueue("steps.fifo", 330, four_days, dead["dead steps"]),
        "timers": StandardQueue("timers", 90, four_days, dead["dead timers"]),
        **dead,
    }


def _sources(queues: dict[str, Queue]) -> list[Source]:
    batches = {"runs": 10, "steps": 10, "timers": 10}
    return [
        Source(queue, "executor" if name == "steps" else "orchestrator", batches.get(name, 1))
        for name, queue in queues.items()
    ]


def _observed(sim: Simulation, load: Callable[..., Any]) -> Callable[..., Any]:
    def observed(self: Any, run_id: str, *, use_code: bool, **more: Any) -> Any:
        if not use_code:
            sim.blocked_for_deaths(run_id)
        return load(self, run_id, use_code=use_code, **more)

    return observed


@contextmanager
def simulation(seed: int, suppressed: Collection[str] = ()) -> Iterator[Simulation]:
    sim = Simulation(seed, suppressed)
    with (
        held_still(seed),
        expected_errors() as errors,
        mock.patch.object(acts, "PAGE", sim.page),
        mock.patch.object(limits, "COMMITS", sim.sealed_after),
        mock.patch.object(LiveRuns, "load", _observed(sim, LiveRuns.load)),
        collections(sim.collects),
        processor(),
    ):
        errors.listener = sim.surprise
        try:
            yield sim
        finally:
            sim.close()
