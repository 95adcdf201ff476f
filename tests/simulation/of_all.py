"""What must hold of all runs of a seed together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tests.simulation.limiting import (
    attempts_have_places,
    limits_are_kept,
    places_go_to_who_is_next,
    the_oldest_makes_room,
)
from tests.simulation.runs import run_of
from tests.simulation.streaming import streams_agree
from worldflow.engine.history import (
    CancelRequested,
    HookResumed,
    Replied,
    RunContinued,
    RunPaused,
    RunStarted,
    RunUnpaused,
    SignalReceived,
    TerminateRequested,
    TimerFired,
    UpdateReceived,
)
from worldflow.engine.ids import generation, generation_id
from worldflow.worlds.messages import FactArrived, load_message

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation
    from tests.simulation.users import Users

Problems = Iterator[str]


def no_message_is_left(sim: Simulation, users: Users) -> Problems:
    for name, queue in sim.queues.items():
        for message in queue.messages:
            yield f"in {name}, received {message.receives} times: {message.body}"
        for message in queue.expired:
            yield f"expired in {name}: {message.body}"


def what_was_started_exists(sim: Simulation, users: Users) -> Problems:
    for accepted in users.accepted:
        for run_id in accepted.starts:
            if run_id not in sim.store.commits and run_id not in users.crowd.removed:
                yield f"{run_id}: was accepted and has not begun ({accepted.what})"


def what_was_accepted_is_recorded(sim: Simulation, users: Users) -> Problems:
    for accepted in users.accepted:
        for message in accepted.facts:
            if message.run_id in sim.store.records and not _arrived(sim, message):
                yield f"{message.run_id}: {accepted.what} was accepted and is not recorded: {message.fact!r}"


def _arrived(sim: Simulation, message: FactArrived) -> bool:
    run, fact = run_of(sim, message.run_id), message.fact
    match fact:
        case TerminateRequested():
            return run.state.ended is not None
        case CancelRequested():
            return run.state.ended is not None or run.state.cancel_requested
        case RunPaused() | RunUnpaused():
            return True  # one that is paused already, or is not, records nothing
        case TimerFired() if fact.timer_id not in run.state.timers or run.state.ended:
            return True
        case HookResumed() if fact.hook_id not in run.state.hooks or run.state.ended:
            return True
    for each in run.following:
        if fact.fact_id in each.received:
            return True
        if each.state.ended and not each.left_its_place:
            return True  # it came too late
    return _seen_before(sim, run.id, fact.fact_id)


def signals_keep_their_order(sim: Simulation, users: Users) -> Problems:
    """Those that were sent to one run are recorded as they were sent, through outages and deaths."""
    sent: dict[str, dict[str, None]] = {}
    for stored in sim.queues["runs"].sent:
        message = load_message(stored.body)
        if isinstance(message, FactArrived) and isinstance(message.fact, SignalReceived):
            sent.setdefault(message.run_id, {}).setdefault(message.fact.fact_id)
    for run_id, facts in sent.items():
        if run_id not in sim.store.records:
            continue
        run = run_of(sim, run_id)
        recorded = [event.fact_id for event in run.own if isinstance(event, SignalReceived)]
        expected = [fact_id for fact_id in facts if fact_id in recorded]
        found = [fact_id for fact_id in recorded if fact_id in expected]
        if found != expected:
            yield f"{run_id}: signals were sent as {expected}, and recorded as {found}"
        if found:
            before = list(facts)[: list(facts).index(found[-1])]
            for fact_id in before:
                if fact_id not in run.received and not _seen_before(sim, run_id, fact_id):
                    yield f"{run_id}: {fact_id} was passed over"


def _seen_before(sim: Simulation, run_id: str, fact_id: str) -> bool:
    base, number = generation(run_id)
    return any(fact_id in run_of(sim, generation_id(base, n)).received for n in range(1, number))


def nothing_comes_twice_to_those_that_follow(sim: Simulation, users: Users) -> Problems:
    """What one generation received, the one that goes on in its place does not receive again."""
    for run_id in sim.run_ids():
        run = run_of(sim, run_id)
        if not isinstance(run.state.ended, RunContinued):
            continue
        following = sim.store.history(run.state.ended.next_run_id)
        if not (following and isinstance(following[0], RunStarted) and following[0].seen):
            continue  # somebody has put a run of its own there
        received = {event.fact_id for event in run.history if isinstance(event, (SignalReceived, UpdateReceived))}
        received -= run.state.held.keys()  # which the workflow has not learned of
        for event in following:
            if isinstance(event, (SignalReceived, UpdateReceived)) and event.fact_id in received:
                yield f"{run_id}: {event.fact_id} came to the next generation too"


def one_generation_lives(sim: Simulation, users: Users) -> Problems:
    for run_id in sim.run_ids():
        run = run_of(sim, run_id)
        if run.history and not run.state.ended and any(other.history for other in list(run.following)[1:]):
            yield f"{run_id}: goes on, and so does one that follows it"


def attempts_do_not_wait_for_others(sim: Simulation, users: Users) -> Problems:
    """A task is held back by a copy of itself alone: an attempt that hangs, or whose function died, keeps none."""
    for task, other in sim.held_back.items():
        if task.endswith(":report") or other.endswith(":report"):
            continue  # which is to come after the attempt, and does not take long
        yield f"{task} was not begun while {other} was in flight"


def entities_do_each_call_once(sim: Simulation, users: Users) -> Problems:
    """Also in all generations of an entity together."""
    replies = Counter(
        (generation(run_id)[0], event.fact_id)
        for run_id in sim.run_ids()
        if "@" in run_id
        for event in sim.store.history(run_id)
        if isinstance(event, Replied)
    )
    for (entity, fact_id), count in replies.items():
        if count > 1:
            yield f"{entity}: it has done {fact_id} {count} times"


OF_ALL: list[Callable[[Simulation, Users], Problems]] = [
    entities_do_each_call_once,
    no_message_is_left,
    what_was_started_exists,
    what_was_accepted_is_recorded,
    signals_keep_their_order,
    nothing_comes_twice_to_those_that_follow,
    one_generation_lives,
    attempts_do_not_wait_for_others,
    streams_agree,
    limits_are_kept,
    places_go_to_who_is_next,
    attempts_have_places,
    the_oldest_makes_room,
]
