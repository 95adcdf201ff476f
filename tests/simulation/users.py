"""Those who start runs and send them things: their requests, of which some fail and are made again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import workflows.order as shop
from tests.simulation import programs
from tests.simulation.crowds import Crowd
from tests.simulation.faults import INJECTED, Crash
from tests.support.generated import SIGNALS, TOKENS, UPDATES
from tests.support.values import a_value
from worldflow.engine.errors import (
    HookNotFoundError,
    InvalidInputError,
    LimitNotFoundError,
    NonDeterminismError,
    QueryNotFoundError,
    RunArchivedError,
    RunBlockedError,
    RunEndedError,
    RunExistsError,
    RunNotFoundError,
    SerializationError,
    WorkflowStuckError,
)
from worldflow.engine.history.editing import editable
from worldflow.engine.history.forking import up_to
from worldflow.runtime import queries, sending, starting, updates, webhooks
from worldflow.runtime.sweep import sweep
from worldflow.runtime.workflow_pauses import pause_workflow, unpause_workflow
from worldflow.worlds.base import World
from worldflow.worlds.messages import Delayed, FactArrived, Start

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

REFUSALS = (
    RunArchivedError,
    RunEndedError,
    RunNotFoundError,
    RunExistsError,
    InvalidInputError,
    HookNotFoundError,
    LimitNotFoundError,
    QueryNotFoundError,
    RunBlockedError,
)

Request = Callable[[World], object]


@dataclass(frozen=True, slots=True)
class Accepted:
    """What somebody was told was taken."""

    what: str
    at: float
    starts: tuple[str, ...]
    facts: tuple[FactArrived, ...]


class Users:
    """Plans what users do, and keeps what was accepted."""

    def __init__(self, sim: Simulation) -> None:
        self.accepted: list[Accepted] = []
        self.refused: list[str] = []
        self._sim = sim
        self._chance = random.Random(f"{sim.seed} users")
        self._delays = random.Random(f"{sim.seed} delays")
        self.crowd = Crowd(sim, self)
        self._ids = [f"r{number}" for number in range(self._chance.choice([1, 1, 2, 3]))][: 1 if self.crowd.kind else 3]
        self._span = self._chance.choice([5.0, 60.0, 1_500.0, 200_000.0])
        self._sent = 0

    def plan(self) -> None:
        """Puts on the agenda who asks for what, and when."""
        chance = self._chance
        self.crowd.plan()
        for run_id in self._ids:
            self._at(chance.uniform(0, self._span / 10), f"start {run_id}", self._start(run_id))
        for hour in range(chance.choice([0, 0, 0, 5])):
            self._at(3_600.0 * hour + 1, "sweep", sweep)
        for _ in range(chance.choice([2, 6, 12]) // (3 if self.crowd.kind else 1)):
            what, request = self._something(chance.choice(self._ids))
            self._at(chance.uniform(0, self._span), what, request)

    def ask(
        self, what: str, request: Request, tries: int = 3, *, copies: int = 1, until_answered: bool = False
    ) -> None:
        """Makes a request; one that fails without an answer may be made again, and one that succeeds repeated.

        until_answered: it is made again until there is an answer.
        """
        sim = self._sim
        client = sim.client()
        sim.note("", f"--- {what}", client)
        try:
            with sim.running(client):
                request(client.world)
        except REFUSALS as error:
            self.refused.append(f"{what}: {error}")
            sim.note("", f"{what} is refused: {type(error).__name__}", client)
        except (Crash, *INJECTED):
            sim.note("", f"{what} got no answer", client)
            if until_answered or (tries > 1 and self._chance.random() < 0.7):
                again = partial(self.ask, what, request, tries - 1, copies=copies, until_answered=until_answered)
                sim.at(sim.now + self._chance.choice([0.1, 2, 400]), again)
        else:
            sent = client.world.sent
            starts = tuple(message.run_id for message in map(undelayed, sent) if isinstance(message, Start))
            facts = tuple(message for message in sent if isinstance(message, FactArrived))
            self.accepted.append(Accepted(what, sim.now, starts, facts))
            if copies and sim.faults.strike("users", ["asked twice"]):
                sim.at(sim.now + self._chance.choice([0.1, 10, 400]), lambda: self.ask(what, request, 1, copies=0))
        finally:
            client.close()

    def _at(self, delay: float, what: str, request: Request, **how: Any) -> None:
        sim = self._sim
        sim.at(sim.now + delay, lambda: self.ask(what, request, **how))

    # --- what they ask for ---

    def _start(self, run_id: str, **options: Any) -> Request:
        chance = self._chance
        if chance.random() < 0.25 and not options:
            order = programs.an_order(chance, run_id)
            return lambda world: starting.start(world, run_id, shop.fulfil_order, order)
        given = self._arguments(chance.choice([1, 3, 5, 8]))
        delay = self._delays.choice([None, None, None, "10s", "20m", "2h"])
        return lambda world: starting.start(world, run_id, programs.NAME, given, delay=delay, **options)

    def _arguments(self, size: int) -> dict[str, Any]:
        chance = self._chance
        program = programs.a_program(chance, size)
        if chance.random() < 0.3:
            program = ["sequence", programs.litter(chance), program]
        if chance.random() < 0.2:
            in_time = ["limited", chance.choice([1, 3, 10, 100]), ["signal", chance.choice(SIGNALS)]]
            program = ["sequence", ["forgiving", in_time], program]
        then = [programs.a_program(chance, 2) for _ in range(chance.choice([0, 0, 0, 1, 2]))]
        return {"program": program, "then": then, "strict": chance.random() < 0.4}

    def _something(self, run_id: str) -> tuple[str, Request]:
        chance = self._chance
        self._sent += 1
        n = self._sent
        match chance.randrange(26):
            case 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7:
                name = chance.choice(SIGNALS)
                return f"signal {n}", lambda world: sending.signal(world, run_id, name, a_value(n), signal_id=f"n{n}")
            case 8 | 9:
                answer = {"approved": chance.random() < 0.7, "by": "bob"}
                return f"approval {n}", lambda world: sending.signal(
                    world, run_id, "approval", answer, signal_id=f"n{n}"
                )
            case 10 | 11 | 12:
                name = chance.choice(UPDATES)
                return f"update {n}", lambda world: updates.send_update(
                    world, run_id, name, (a_value(n),), update_id=f"n{n}"
                )
            case 13 | 14 | 15:
                token = chance.choice(TOKENS)
                return f"hook {n}", lambda world: webhooks.resume_hook(world, token, a_value(n), resume_id=f"n{n}")
            case 16:
                return f"webhook {n}", lambda world: self._call_webhook(world, n)
            case 24 if n % 3 == 0:
                unpause = partial(unpause_workflow, workflow=programs.NAME)
                self._at(n * 10, "unpause the workflow", lambda world: list(unpause(world)), until_answered=True)
                return "pause the workflow", lambda world: pause_workflow(
                    world, programs.NAME, "an incident", open_runs=n % 2 == 0
                )
            case 24:
                return f"pause {run_id}", lambda world: sending.pause(world, run_id, "an incident")
            case 25:
                return f"unpause and wake {run_id}", lambda world: _go_on(world, run_id)
            case 17:
                return f"cancel {run_id}", lambda world: sending.cancel(world, run_id, "enough")
            case 18:
                return f"terminate {run_id}", lambda world: sending.terminate(world, run_id, "at once")
            case 19:
                policy: Any = chance.choice(["return_existing", "terminate_existing", "fail"])
                reuse: Any = chance.choice(["allow", "failed_only", "reject", None])
                return f"start {run_id} again", self._start(run_id, if_running=policy, reuse=reuse)
            case 20:
                return f"retry {run_id}", lambda world: starting.retry(world, run_id)
            case 21:
                after, new = chance.randint(1, 12), f"fork-{n}"
                if n % 2:
                    return f"fork {run_id} with its own data", lambda world: _edit(world, run_id, new, after)
                return f"fork {run_id}", lambda world: starting.fork(world, run_id, new, after=after)
            case 22:
                given = self._arguments(2)
                return f"signal {n} with start", lambda world: starting.signal_with_start(
                    world, run_id, programs.NAME, given, name="a", value=a_value(n), signal_id=f"n{n}"
                )
            case _:
                return f"query {run_id}", lambda world: self._query(world, run_id)

    def _query(self, world: World, run_id: str) -> None:
        try:
            queries.query(world, run_id, "trace")
        except (NonDeterminismError, SerializationError, WorkflowStuckError) as error:
            if self._sim.code is self._sim.deployments.good and not self._sim.was_bad:
                self._sim.surprise(f"a query of {run_id} fails: {error}", error)

    def _call_webhook(self, world: World, n: int) -> None:
        """A request to one of the webhooks that there are."""
        tokens = sorted(hook.token for hook in self._sim.store.hooks.values() if hook.webhook)
        if tokens:
            webhooks.receive(world, self._chance.choice(tokens), method="POST", request_id=f"n{n}")


def undelayed(message: object) -> object:
    """The message itself, of one that is to be delivered later."""
    return message.message if isinstance(message, Delayed) else message


def _go_on(world: World, run_id: str) -> None:
    sending.unpause(world, run_id)
    sending.wake(world, run_id)


def _edit(world: World, run_id: str, new: str, after: int) -> None:
    """Forks a run with edits that change nothing: what was decided on the last of them is decided again."""
    events = {event.seq: event for event in world.read_events(run_id)}
    kept = editable(up_to(list(events.values()), after)) if events else {}
    fields = ("input", "result", "value", "args")
    data = {
        seq: next((getattr(events[seq], name) for name in fields if hasattr(events[seq], name)), None) for seq in kept
    }
    starting.fork(
        world, run_id, new, after=after, edit={seq: data[seq] for seq in [*data][-2:] if data[seq] is not None}
    )
