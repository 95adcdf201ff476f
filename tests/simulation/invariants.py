"""What must hold of every seed. Each invariant is a function that says what is wrong, line by line: `run: what`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import workflows.order as shop
from tests.simulation import programs
from tests.simulation.faults import Crash
from tests.simulation.limiting import limits_are_kept
from tests.simulation.ownership import (
    Exactly,
    nothing_that_was_used_is_recorded,
    what_happened_first_is_applied_first,
    what_was_sent_is_recorded,
)
from tests.simulation.streaming import streams_agree, written_by
from worldflow.engine.history import (
    CancelRequested,
    ChildCompleted,
    ChildFailed,
    Decision,
    Event,
    Fact,
    HookResumed,
    Replied,
    RunCancelled,
    RunCompleted,
    RunContinued,
    RunEnded,
    RunFailed,
    RunForked,
    RunPaused,
    RunStarted,
    RunUnpaused,
    SignalReceived,
    StepCompleted,
    StepFailed,
    StepRetryScheduled,
    StepScheduled,
    TerminateRequested,
    TimerFired,
    TimerStarted,
    UpdateReceived,
    load_events,
)
from worldflow.engine.history.state import OpenStep, RunState
from worldflow.engine.ids import generation, generation_id, is_of_run
from worldflow.engine.workflow.definitions import find_workflow, oldest_version
from worldflow.serving.outages import LIFE_RECEIVES
from worldflow.turns.attempts import is_timeout
from worldflow.turns.webhook_tokens import WebhooksOf
from worldflow.worlds.histories import History
from worldflow.worlds.ledger import step_key
from worldflow.worlds.messages import FactArrived, load_message
from worldflow.worlds.payloads import fetch, fetch_failure
from worldflow.worlds.records import RunRecord, run_record

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation
    from tests.simulation.users import Users

Problems = Iterator[str]


class Run:
    """A run as the store has it."""

    def __init__(self, sim: Simulation, run_id: str) -> None:
        record = sim.store.record(run_id)
        assert record
        self.sim = sim
        self.id = run_id
        self.record: RunRecord = record
        self.history: list[Event] = sim.store.history(run_id)

    @cached_property
    def state(self) -> RunState:
        return RunState(self.history)

    @cached_property
    def own(self) -> list[Event]:
        """The events that are not those of a run that it goes on from."""
        forks = [index for index, event in enumerate(self.history) if isinstance(event, RunForked)]
        return self.history[forks[-1] :] if forks else self.history

    @cached_property
    def received(self) -> set[str]:
        """The ids of the facts that it was told, also by the one that it follows."""
        told = {event.fact_id for event in self.history if isinstance(event, Fact)}
        return told.union(*(event.seen or () for event in self.history if isinstance(event, RunStarted)))

    @cached_property
    def is_tainted(self) -> bool:
        """Whether code had a part in it that the good code need not be able to go on from."""
        codes = self.sim.deployments.by_name
        if self.record.workflow_name == programs.NAME and any(
            codes[commit.code].taints for commit in self.sim.store.commits.get(self.id, ())
        ):
            return True
        source = self.record.fork_of
        return source is not None and Run(self.sim, source.run_id).is_tainted

    def message_of(self, event: StepFailed) -> str:
        """The message of a failure."""
        return fetch_failure(self.sim.client().world, event.error).message

    @property
    def is_blocked(self) -> bool:
        return self.record.status == "blocked"

    @property
    def following(self) -> Iterator[Run]:
        """This run, and the generations after it."""
        base, number = generation(self.id)
        while (run_id := generation_id(base, number)) in self.sim.store.records:
            yield Run(self.sim, run_id)
            number += 1

    @property
    def left_its_place(self) -> bool:
        """Whether it ended so that another run goes on in its place."""
        return self.state.successor is not None


def at_rest(sim: Simulation, users: Users) -> list[str]:
    """What is wrong while nothing happens by itself any more."""
    runs = [Run(sim, run_id) for run_id in sim.run_ids()]
    begun = [run for run in runs if run.history]
    problems = [f"{check.__name__}: {run.id}: {problem}" for check in ORDER for run in begun for problem in check(run)]
    if not problems:  # of a history that is none, nothing else can be said
        problems = [f"{check.__name__}: {problem}" for check in OF_ALL for problem in check(sim, users)]
    if not problems:
        problems = [f"{check.__name__}: {run.id}: {what}" for check in OF_EACH for run in begun for what in check(run)]
    return problems


def after_a_day(sim: Simulation) -> list[str]:
    """What is wrong when the code is good and the sweep has been everywhere."""
    runs = [Run(sim, run_id) for run_id in sim.run_ids()]
    stuck = [run for run in runs if run.is_blocked and not run.is_tainted]
    return [
        *(f"nothing_stays_blocked: {run.id}: {run.record.blocked_reason}" for run in stuck),
        *(f"everything_begins: {run.id}: has not begun" for run in runs if not run.history),
    ]


def undisturbed(sim: Simulation, before: Mapping[str, tuple[str, int]]) -> list[str]:
    """What the sweep has done to runs that were well. Counts those that it has helped, on which others may depend."""
    went_on = []
    for run_id, (status, commits) in before.items():
        if len(sim.store.commits.get(run_id, [])) == commits:
            continue
        if not commits:
            sim.swept["had not begun"] += 1
        elif status == "blocked":
            sim.swept["was blocked"] += 1
        else:
            went_on.append(run_id)
    return [] if sim.swept else [f"undisturbed: {run_id}: was well, and the sweep made it go on" for run_id in went_on]


def after_the_end(sim: Simulation) -> list[str]:
    """What is wrong when all runs were asked to end, and then told to."""
    return [f"everything_ends: {run_id}: does not end" for run_id in sim.open_runs()]


def told(sim: Simulation, run_id: str) -> tuple[RunRecord, list[Event]]:
    """What a reader is told of a run."""
    client = sim.client()
    return client.world.read_run(run_id), client.world.read_events(run_id)


def after_archiving(
    sim: Simulation, known: Mapping[str, tuple[RunRecord, list[Event]]], written: Mapping[str, object]
) -> list[str]:
    """What is wrong when all runs are archived: they are to be read as before, and nothing else is to be left."""
    store, problems = sim.store, []
    kept = [key for key in store.items if not key.endswith(("#claim", "#beat"))]
    histories = [key for key in store.commits if is_of_run(key) or "#stream#" in key]
    left = {"records": store.records, "histories": histories, "items": kept, "schedules": store.schedules}
    problems += [f"nothing_is_left: {name} of {list(found)}" for name, found in left.items() if found]
    for run_id, (record, events) in known.items():
        found, history = told(sim, run_id)
        names = {"archived_at", "newest_run_id", "updated_at", "streams"}
        if found.model_dump(exclude=names) != record.model_dump(exclude=names) or history != events:
            problems.append(f"an_archived_run_is_read_as_before: {run_id}: it was {record}, and is {found}")
    if written != (now := written_by(sim, known)):
        problems.append(f"archived streams are read as before: they were {written}, and are {now}")
    return problems


# --- of all together -----------------------------------------------------------------------------------------------


def no_message_is_left(sim: Simulation, users: Users) -> Problems:
    for name, queue in sim.queues.items():
        for message in queue.messages:
            yield f"in {name}, received {message.receives} times: {message.body}"
        for message in queue.expired:
            yield f"expired in {name}: {message.body}"


def what_was_started_exists(sim: Simulation, users: Users) -> Problems:
    for accepted in users.accepted:
        for run_id in accepted.starts:
            if run_id not in sim.store.commits:
                yield f"{run_id}: was accepted and has not begun ({accepted.what})"


def what_was_accepted_is_recorded(sim: Simulation, users: Users) -> Problems:
    for accepted in users.accepted:
        for message in accepted.facts:
            if not _arrived(sim, message):
                yield f"{message.run_id}: {accepted.what} was accepted and is not recorded: {message.fact!r}"


def _arrived(sim: Simulation, message: FactArrived) -> bool:
    run, fact = Run(sim, message.run_id), message.fact
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
        run = Run(sim, run_id)
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
    return any(fact_id in Run(sim, generation_id(base, n)).received for n in range(1, number))


def nothing_comes_twice_to_those_that_follow(sim: Simulation, users: Users) -> Problems:
    """What one generation received, the one that goes on in its place does not receive again."""
    for run_id in sim.run_ids():
        run = Run(sim, run_id)
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
        run = Run(sim, run_id)
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
]


# --- of each run: that its history is one --------------------------------------------------------------------------


def the_history_is_one_order(run: Run) -> Problems:
    if [event.seq for event in run.history] != list(range(1, len(run.history) + 1)):
        yield f"its events are numbered {[event.seq for event in run.history]}"
    if not isinstance(run.history[0], RunStarted):
        yield f"it begins with {run.history[0].event_type}"
    if [event.at for event in run.own] != sorted(event.at for event in run.own):
        yield "its times go back"
    if any(isinstance(event, RunEnded) for event in run.history[:-1]):
        yield "it goes on after its end"


def nothing_is_recorded_twice(run: Run) -> Problems:
    """Each attempt of a step has one outcome, each signal came once, each update has one answer."""
    recorded: Counter[tuple[str, str]] = Counter()
    for event in run.history:
        if isinstance(event, (StepCompleted, StepFailed)):
            recorded["the outcome of", event.fact_id] += 1
        elif isinstance(event, (ChildCompleted, ChildFailed, TimerFired)):
            recorded["the end of", event.fact_id] += 1
        elif isinstance(event, Replied):
            recorded["the answer to", event.fact_id] += 1
        elif isinstance(event, (SignalReceived, UpdateReceived, HookResumed, CancelRequested, RunStarted)):
            recorded["the arrival of", event.fact_id] += 1
    for (what, id), count in recorded.items():
        if count > 1:
            yield f"{what} {id} is recorded {count} times"


def outcomes_are_of_the_open_attempt(run: Run) -> Problems:
    """What an attempt comes to after its run has given it up is not recorded."""
    state = RunState()
    for event in run.history:
        if isinstance(event, (StepCompleted, StepFailed)):
            step = state.steps.get(event.step_id)
            if step is None or step.attempt != event.attempt:
                yield f"event {event.seq} is the outcome of {event.fact_id}, and {step and step.attempt} is open"
                return
        state.record(event)


ORDER: list[Callable[[Run], Problems]] = [
    the_history_is_one_order,
    nothing_is_recorded_twice,
    outcomes_are_of_the_open_attempt,
]


# --- of each run: the rest -----------------------------------------------------------------------------------------


def the_history_replays(run: Run) -> Problems:
    if run.is_tainted:
        return
    client = run.sim.client()
    with run.sim.running(client):
        started = run.state.started
        assert started
        version = oldest_version(started.workflow_name) if started.version is None else started.version
        workflow = find_workflow(started.workflow_name, version)
        execution = Exactly(run.id, workflow, webhooks=WebhooksOf(client.world))
        try:
            execution.replay(list(map(History(client.world).read, run.history)))
            if execution.ended != (run.state.ended is not None):
                yield "its replay does not end as it does"
        except (Exception, Crash) as error:
            yield f"{type(error).__name__}: {error}"
        finally:
            execution.dispose()


def the_record_agrees(run: Run) -> Problems:
    record, state = run.record, run.state
    last = run.sim.store.commits[run.id][-1]
    if not run.sim.is_swept and record.seq < state.seq and last.invocation in run.sim.outlived:
        return  # it died before it wrote the record, and another had acknowledged its message: the daily poke does it
    if state.held and not (run.is_blocked or state.paused or state.ended):
        yield f"it is {record.status}, and holds {list(state.held)}"
    if run.is_blocked and not record.blocked_reason:
        yield "it is blocked for no reason"
    expected = run_record(run.id, state, record.blocked_reason, record.updated_at)
    told = {"attributes", "status_text", "status", "result", "error", "reason", "next_run_id", "ended_at", "version"}
    if record.seq == 0:
        told -= {"version"}  # nothing was to be told yet
    for name in sorted(told):
        if getattr(record, name) != getattr(expected, name):
            yield f"its record says {name}={getattr(record, name)!r}, and its history {getattr(expected, name)!r}"
    if state.ended and record.seq != state.seq:
        yield f"its record is of event {record.seq}, and the end is {state.seq}"


def no_timer_fires_early(run: Run) -> Problems:
    due = {event.timer_id: event.due for event in run.history if isinstance(event, TimerStarted)}
    for commit in run.sim.store.commits[run.id]:
        for event in load_events(commit.text):
            if (
                isinstance(event, TimerFired)
                and not event.woken
                and commit.at + run.sim.skew < due[event.timer_id].timestamp()
            ):
                yield f"{event.timer_id} fired {due[event.timer_id].timestamp() - commit.at} s early"


def no_attempt_begins_early(run: Run) -> Problems:
    for event in run.own:
        if isinstance(event, StepRetryScheduled):
            for execution in run.sim.executions.get((run.id, event.step_id, event.attempt), []):
                if execution.at + run.sim.skew < event.due.timestamp():
                    yield f"{event.step_id}/{event.attempt} began {event.due.timestamp() - execution.at} s early"


def at_most_once_is_once(run: Run) -> Problems:
    for (run_id, step_id, attempt), executions in run.sim.executions.items():
        if run_id == run.id and len(executions) > 1 and executions[0].at_most_once:
            yield f"{step_id}/{attempt} ran {len(executions)} times"


def what_nobody_wants_is_not_begun(run: Run) -> Problems:
    """Unless it may run again anyway, the turn that gave it up could not say so, or a clock is wrong."""
    sim = run.sim
    for (run_id, step_id, attempt), executions in sim.executions.items():
        if run_id != run.id or sim.skew or executions[0].repeatable:
            continue
        for execution in executions:
            why, invocation = execution.unwanted or ("", 0)
            if why and not sim.strikes.get(invocation) and sim.ended[invocation] < sim.began[execution.invocation]:
                yield f"{step_id}/{attempt} was begun (request {execution.began}), and {why}"


def heartbeats_are_missed_by_what_has_begun(run: Run) -> Problems:
    """No attempt is given up for its heartbeats while it waits for its place."""
    for event in run.own:
        if isinstance(event, StepFailed) and is_timeout(event) and "heartbeat" in event.error.message:
            key = run.id, event.step_id, event.attempt
            if key not in run.sim.executions and step_key(*key, "beat") not in run.sim.store.items:
                yield f"{event.fact_id} has not begun: {event.error.message}"


def what_runs_twice_is_explained(run: Run) -> Problems:
    """By a fault that struck the first while it was at work, or by both being at work at once."""
    sim = run.sim
    for (run_id, step_id, attempt), executions in sim.executions.items():
        if run_id != run.id or executions[0].repeatable:
            continue
        for first, second in pairwise(executions):
            both_at_work = sim.began[second.invocation] < sim.ended.get(first.invocation, sim.tick + 1)
            struck = any(first.began <= tick <= second.began for tick in sim.strikes.get(first.invocation, ()))
            if second.known and not both_at_work:
                yield f"{step_id}/{attempt} ran again (request {second.began}), and its outcome was known"
            elif not (struck or both_at_work):
                yield f"{step_id}/{attempt} ran again (request {second.began}), and nothing had gone wrong"


def who_crashed_has_died(run: Run) -> Problems:
    """No attempt has failed for deaths of its function that were outages. Of its first receive nothing is known.

    An inline attempt dies with its turn, not with a task.
    """
    inline = {event.step_id for event in run.history if isinstance(event, StepScheduled) and event.inline}
    for event in run.own:
        if not isinstance(event, StepFailed) or event.step_id in inline:
            continue
        if event.error.type.endswith(":StepCrashedError"):
            id = f"{run.id}:{event.step_id}:{event.attempt}"
            tasks = {message.id for message in run.sim.queues["steps"].sent if message.attempt == id}
            deaths = sum(run.sim.deaths[task] for task in tasks)
            slack = run.sim.store.owed[f"step#{run.id}#{event.step_id}#{event.attempt}#deaths"]
            if deaths + slack < LIFE_RECEIVES - 1:
                yield f"{event.fact_id} has crashed, and its function has died {deaths} times"


def the_ledger_agrees(run: Run) -> Problems:
    """Unless the history has a timeout, or the outcome of an inline attempt that another turn began too."""
    inline = {event.step_id for event in run.history if isinstance(event, StepScheduled) and event.inline}
    for event in run.own:
        if not isinstance(event, (StepCompleted, StepFailed)) or event.step_id in inline or is_timeout(event):
            continue
        outcome = run.sim.store.outcome(run.id, event.step_id, event.attempt)
        if outcome and outcome.fact.event_type != event.event_type:
            yield f"{event.fact_id} is {event.event_type} in the history, and {outcome.fact.event_type} in the ledger"


def nothing_is_forgotten(run: Run) -> Problems:
    """When nothing happens by itself any more, everything has happened."""
    state, store = run.state, run.sim.store
    if state.ended:
        # A token of a run that has ended is free, so one that is taken late does no harm; it goes with the run.
        tokens = {hook.token for hook in state.hooks.values()} - store.taken_late
        held = [token for token in tokens if _holder(run, token) == run.id]
        if held:
            yield f"it has ended, and holds {held}"
        if isinstance(state.ended, RunContinued) and state.ended.next_run_id not in store.commits:
            yield f"it goes on as {state.ended.next_run_id}, which has not begun"
    elif not run.is_blocked:
        for step in state.steps.values():
            if step.attempt is not None and not (_is_paused(run, step) or _waits_for_a_blocked_entity(run, step)):
                yield f"it waits for {step.scheduled.step_id}/{step.attempt}"
        for timer in state.timers.values():
            yield f"it waits for {timer.timer_id}"
        for hook in state.hooks.values():
            if _holder(run, hook.token) != run.id:
                yield f"it has lost {hook.hook_id}, {hook.token}"
    yield from _forgotten_children(run)


def _is_paused(run: Run, step: OpenStep) -> bool:
    """Whether the attempt is not to begin while its run is paused."""
    state, scheduled = run.state, step.scheduled
    return state.paused is not None and (state.puts_off(step) or scheduled.inline is True or scheduled.is_limited)


def _waits_for_a_blocked_entity(run: Run, step: OpenStep) -> bool:
    entity = step.scheduled.entity
    return entity is not None and list(Run(run.sim, entity).following)[-1].is_blocked


def _holder(run: Run, token: str) -> str | None:
    hook = run.sim.store.hooks.get(token)
    return hook.run_id if hook else None


def _forgotten_children(run: Run) -> Problems:
    for child in run.state.children.values():
        run_id = child.started.child_run_id
        record = run.sim.store.record(run_id)
        if run.state.ended:
            if child.started.parent_close == "abandon" and not child.cancel_requested:
                if run_id not in run.sim.store.commits:
                    yield f"it has not started {run_id}"
            elif record and record.parent and record.parent.run_id == run.id:
                history = run.sim.store.history(run_id)
                asked = any(isinstance(event, (CancelRequested, TerminateRequested)) for event in history)
                if history and not asked and not record.ended and run_id not in run.sim.store.taken_late:
                    yield f"it has ended, and {run_id} does not know"
        elif not run.is_blocked and not any(isinstance(event, RunForked) for event in run.history):
            newest = list(Run(run.sim, run_id).following)[-1] if record else None
            if newest is None or not newest.history:
                yield f"it waits for {run_id}, which has not begun"
            elif newest.state.ended and not newest.left_its_place:
                yield f"it waits for {newest.id}, which has ended"


def children_tell_what_they_came_to(run: Run) -> Problems:
    for event in run.own:
        if not isinstance(event, ChildCompleted) or event.child_run_id is None:
            continue
        ended = Run(run.sim, event.child_run_id).state.ended
        if not isinstance(ended, RunCompleted):
            yield f"{event.child_id} is said to have completed, and {event.child_run_id} has not"
        elif _plain(run, ended.result) != _plain(run, event.result):
            yield f"{event.child_id} is said to have come to {event.result!r}, and came to {ended.result!r}"


def _plain(run: Run, value: Any) -> Any:
    return fetch(run.sim.client().world, value)


def books_balance(run: Run) -> Problems:
    """An order that is not shipped gives back what it took, unless it was ended by force or cannot."""
    if run.record.workflow_name != shop.fulfil_order.name or run.state.ended is None:
        return
    names = {event.step_id: event.name for event in run.history if isinstance(event, StepScheduled)}
    done = Counter(names[event.step_id] for event in run.history if isinstance(event, StepCompleted))
    failed = {names[event.step_id] for event in run.history if isinstance(event, StepFailed)}
    match run.state.ended:
        case RunCompleted():
            if done["charge"] != 1 or done["ship"] != 1 or done["refund"] or done["release"]:
                yield f"it is shipped, with {dict(done)}"
        case RunFailed(forced=None) | RunCancelled(forced=None):
            if failed & {"release", "refund"}:
                return
            if done["reserve"] != done["release"] or done["charge"] != done["refund"]:
                yield f"it is not shipped, with {dict(done)}"


def a_step_that_cancels_itself_has_its_own_outcome(run: Run) -> Problems:
    """Unless its function died."""
    items = {
        event.step_id: _plain(run, event.input)["item"]
        for event in run.history
        if isinstance(event, StepScheduled) and event.name == programs.cancelling.name
    }
    for event in run.own:
        if isinstance(event, (StepCompleted, StepFailed)) and event.step_id in items:
            outcome = "StepCompleted" if isinstance(event, StepCompleted) else event.error.type
            expected = programs.CANCELLED[items[event.step_id]]
            if outcome != expected and not outcome.startswith("worldflow.engine.errors:Step"):
                yield f"{event.fact_id} came to {outcome}, and not to {expected}"


def who_spins_is_stopped(run: Run) -> Problems:
    """Code that computes without end decides nothing, and keeps nobody else from deciding."""
    if run.record.workflow_name != programs.NAME:
        return
    first = run.own[0].seq
    for commit in run.sim.store.commits[run.id]:
        decided = [e for e in load_events(commit.text) if isinstance(e, Decision) and e.seq > first]
        if commit.code == "spins" and not all(getattr(event, "forced", False) for event in decided):
            yield f"code that spins has decided {decided}"


OF_EACH: list[Callable[[Run], Problems]] = [
    what_was_sent_is_recorded,
    what_happened_first_is_applied_first,
    nothing_that_was_used_is_recorded,
    the_history_replays,
    the_record_agrees,
    no_timer_fires_early,
    no_attempt_begins_early,
    at_most_once_is_once,
    what_runs_twice_is_explained,
    what_nobody_wants_is_not_begun,
    heartbeats_are_missed_by_what_has_begun,
    who_crashed_has_died,
    the_ledger_agrees,
    nothing_is_forgotten,
    children_tell_what_they_came_to,
    books_balance,
    a_step_that_cancels_itself_has_its_own_outcome,
    who_spins_is_stopped,
]
