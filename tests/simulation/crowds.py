"""Crowds: many short runs of one workflow, of which a limit, a throttle, a debounce, a batch or a schedule decides when
they begin; and the operators, who pause and wake runs of it, and change its limit.

What an incident leaves behind, operators put right on their rounds: who is paused goes on, a changed limit is reset,
and the sweep is called. So all of a crowd ends by itself, and one that does not is stuck.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.support import generated
from worldflow import Batch, Debounce, Limit, RetryPolicy, Throttle, continue_as_new, sleep
from worldflow.engine.ids import generation
from worldflow.engine.workflow.definitions import Workflow
from worldflow.engine.workflow.starts import Starts
from worldflow.runtime import limits, schedules, sending, starting
from worldflow.runtime.sweep import sweep
from worldflow.worlds.base import World
from worldflow.worlds.records import RunRecord

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation
    from tests.simulation.users import Users

SHARE = 0.3
"""How many seeds have a crowd."""

ROUND = 1_300.0
"""Seconds from one round of the operators to the next."""

TROUBLE = 9
"""After so many rounds nothing goes wrong any more, if somebody is still there."""

ROUNDS = 40
"""After so many somebody waits for ever."""

BATCH = Batch(4, wait="40s")
DEBOUNCE = Debounce("20s", max_wait="50s")
THROTTLE = Throttle("4/1m", burst=2)
PLACES = 2
"""Of those that queue. Where there is no queue, there is one."""


async def _visit(item: int, more: int = 0) -> int:
    """Some of these fail, and are tried again; some go on as the next generation."""
    await generated.one_step.options(inline=item % 2 == 0)(item % 6)
    await sleep((0, 3, 30, 120)[item % 4])
    if item % 5 == 4:
        raise ConnectionError("closed")
    if more:
        continue_as_new(item, more - 1)
    return item


async def _bring(rows: list[int]) -> list[int]:
    return rows


def _workflow(kind: str, function: Any, **starts: Any) -> Workflow[..., Any]:
    workflow: Any = Workflow(function, f"crowd.{kind}")
    workflow.starts = Starts(**starts)
    return workflow  # type: ignore[no-any-return]


CROWDS: dict[str, Workflow[..., Any]] = {
    "queue": _workflow(
        "queue",
        _visit,
        limit=Limit("crowd.queue", concurrency=PLACES),
        priority=lambda item: item % 3 // 2,
        fairness=lambda item: "ab"[item % 2],
        retry=RetryPolicy(max_attempts=2, initial_interval="5s"),
    ),
    "skip": _workflow("skip", _visit, limit=Limit("crowd.skip", concurrency=1, excess="skip")),
    "fail": _workflow("fail", _visit, limit=Limit("crowd.fail", concurrency=1, excess="fail")),
    "newest": _workflow("newest", _visit, limit=Limit("crowd.newest", concurrency=1, excess="cancel_oldest")),
    "throttle": _workflow("throttle", _visit, throttle=THROTTLE),
    "debounce": _workflow("debounce", _visit, debounce=DEBOUNCE),
    "batch": _workflow("batch", _bring, batch=BATCH),
    "free": _workflow("free", _visit),
}
"""The workflows, by what they are for."""

KINDS = ("queue", "queue", "queue", "skip", "fail", "newest", "throttle", "debounce", "batch", "batch", "free", "due")

FIRINGS = 4
"""Of a schedule."""


@dataclass(slots=True)
class Asked:
    """A start, from the first request on."""

    number: int
    tick: int
    at: float
    answered: int | None = None
    """The tick of the first answer."""
    run_ids: list[str] = field(default_factory=list)
    """The runs that the answers named."""


class Crowd:
    """The crowd of a seed, if it has one."""

    def __init__(self, sim: Simulation, users: Users) -> None:
        self.chance = chance = random.Random(f"{sim.seed} crowd")
        self.kind = chance.choice(KINDS) if chance.random() < SHARE else None
        self.asked: dict[str, Asked] = {}
        self.removed = set[str]()
        """Runs that somebody has deleted."""
        self.is_signalled = False
        self._sim = sim
        self._users = users
        self._is_set = False
        """Somebody changes the limit."""
        self.most = 0
        """Places that somebody may have given it."""
        self._rounds = 0
        self._calm = 0
        """Rounds since all went well."""

    @property
    def workflow(self) -> Workflow[..., Any]:
        return CROWDS["free" if self.kind in ("due", None) else str(self.kind)]

    def plan(self) -> None:
        """Puts on the agenda who comes, and what operators do."""
        if self.kind is None:
            return
        chance = self.chance
        span = chance.choice([0.5, 10.0, 60.0, 300.0])
        if self.kind == "due":
            self._at(0, "create a schedule", self._create_schedule())
        else:
            for number in range(chance.choice([3, 5, 7])):
                self._at(chance.uniform(0, span), f"start w{number}", self._start(number))
        for _ in range(chance.choice([0, 0, 1, 3])):
            what, request = self._something(f"w{chance.randrange(5)}")
            self._at(chance.uniform(0, span + 60), what, request)
        self._sim.at(self._sim.now + ROUND, self.go_round)

    def _at(self, delay: float, what: str, request: Callable[[World], object]) -> None:
        sim = self._sim
        sim.at(sim.now + delay, lambda: self._users.ask(what, request))

    # --- who comes ---

    def _start(self, number: int) -> Callable[[World], object]:
        chance, run_id = self.chance, f"w{number}"
        given: dict[str, Any] = {"item": number, "more": chance.choice([0, 0, 1])}
        if self.kind == "batch":
            given = {"rows": [10 * number, 10 * number + 1][: chance.randint(1, 2)]}
        delay = chance.choice([None, "30s", "20m"]) if self.kind == "free" else None

        def start(world: World) -> None:
            asked = self.asked.setdefault(run_id, Asked(number, self._sim.tick, self._sim.now))
            record, _ = starting.start(world, run_id, self.workflow.name, given, delay=delay)
            asked.answered = asked.answered or self._sim.tick
            asked.run_ids.append(record.run_id)

        return start

    def _create_schedule(self) -> Callable[[World], object]:
        chance = self.chance
        given = {"item": chance.randint(0, 3)}
        options: Any = {
            "overlap": chance.choice(["skip", "allow", "buffer_all"]),
            "jitter": chance.choice([None, "40s", "3m"]),
        }
        return lambda world: schedules.create(
            world, "crowd", self.workflow.name, given, schedule="rate(1 minute)", **options
        )

    # --- operators ---

    def _something(self, run_id: str) -> tuple[str, Callable[[World], object]]:
        chance = self.chance
        limit = self.workflow.starts.limit
        match chance.randrange(6):
            case 0 | 1 if self.kind == "newest":
                return f"remove {run_id}", lambda world: self._remove(run_id)
            case 0 | 1 if limit and limit.excess == "queue":
                self._is_set, places = True, chance.randint(0, 3)
                self.most = max(self.most, places)
                return "set the limit", partial(limits.set_limit, name=limit.name, concurrency=places)
            case 2 if self.workflow.starts.gather:
                self.is_signalled = True
                return f"signal {run_id}", lambda world: sending.signal(world, run_id, "begin", signal_id="begin")
            case 3 if limit:
                return f"cancel {run_id}", lambda world: sending.cancel(world, run_id, "enough")
            case 4:
                return f"wake {run_id}", lambda world: sending.wake(world, run_id)
        return f"pause {run_id}", lambda world: sending.pause(world, run_id, "an incident")

    def _remove(self, run_id: str) -> None:
        """Somebody deletes what there is of a run that is under way: nobody is left to give its place back."""
        store = self._sim.store
        record = store.record(run_id)
        if record and not record.ended and store.commits.get(run_id):
            del store.records[run_id], store.commits[run_id]
            self.removed.add(run_id)
            self._sim.archives = False  # what is left of it no archive finds

    def go_round(self) -> None:
        """Puts right what is not as it should be, as long as somebody of the crowd is there who was let in."""
        users, sim = self._users, self._sim
        if self.kind is None:
            return
        self._rounds += 1
        limit = self.workflow.starts.limit
        if self._is_set and limit:
            users.ask("reset the limit", partial(limits.set_limit, name=limit.name, reset=True), copies=0)
        self._calm += not sim.faults.active
        waiting = self.waiting()
        if waiting and self._rounds == TROUBLE and sim.faults.active:
            sim.incidents.mend()
        for record in waiting:
            if record.status == "paused":
                users.ask(f"unpause {record.run_id}", partial(sending.unpause, run_id=record.run_id), copies=0)
        if waiting and self._rounds % 3 == 0:
            if self._calm > 3:
                sim.swept["a crowd waited"] += 1
                self._blame(waiting)
            users.ask("sweep for the crowd", sweep)
        if self._rounds > ROUNDS:
            sim.give_up(f"{', '.join(record.run_id for record in waiting)} waits for ever")
        elif waiting:
            sim.at(sim.now + ROUND, self.go_round)

    def _blame(self, waiting: list[RunRecord]) -> None:
        """Only the sweep may help where a turn went on after its time, and where code is missing."""
        sim = self._sim
        if not sim.outlived and not any(record.status == "blocked" for record in waiting):
            sim.give_up(f"{', '.join(record.run_id for record in waiting)} waits for the sweep")

    def waiting(self) -> list[RunRecord]:
        """The runs of the crowd that have not ended, but for those that nobody was told of."""
        store = self._sim.store
        known = {run_id for asked in self.asked.values() for run_id in asked.run_ids}
        records = [record for run_id in sorted(store.records) if (record := store.record(run_id))]
        return [
            record
            for record in records
            if not record.ended
            and record.workflow_name == self.workflow.name
            and (generation(record.run_id)[0] in known or store.commits.get(record.run_id))
        ]
