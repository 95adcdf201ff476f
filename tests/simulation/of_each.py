"""What must hold of each run of a seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import workflows.order as shop
from tests.simulation import programs
from tests.simulation.faults import Crash
from tests.simulation.ownership import (
    Exactly,
    nothing_that_was_used_is_recorded,
    what_happened_first_is_applied_first,
    what_was_sent_is_recorded,
)
from tests.simulation.runs import Run, run_of
from worldflow.engine.history import (
    CancelRequested,
    ChildCompleted,
    ChildFailed,
    Decision,
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
    RunRestored,
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
from worldflow.engine.workflow.definitions import find_workflow, oldest_version
from worldflow.serving.outages import LIFE_RECEIVES
from worldflow.turns.attempts import is_timeout
from worldflow.turns.webhook_tokens import WebhooksOf
from worldflow.worlds.histories import History
from worldflow.worlds.ledger import step_key
from worldflow.worlds.payloads import fetch
from worldflow.worlds.records import run_record
from worldflow.worlds.workflow_pauses import pauses_in, pauses_key

if TYPE_CHECKING:
    pass

Problems = Iterator[str]


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
    client = run.sim.reader
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
    pause = pauses_in(run.sim.store.items.get(pauses_key(run.id))).get(record.workflow_name)
    if state.paused and state.paused.of_workflow and not state.ended and (pause is None or pause.ending):
        yield "it is paused with its workflow, which is not"
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


def no_run_begins_early(run: Run) -> Problems:
    started = run.state.started
    if started and started.start_at and run.begun and not run.state.forked:
        early = started.start_at.timestamp() - run.begun.at
        if early > run.sim.skew + 0.001:
            yield f"it began {early} s early"


def what_is_paused_stands_still(run: Run) -> Problems:
    """From its pause until the end of it facts are held, and only force ends it."""
    is_paused = False
    for event in run.own:
        if isinstance(event, RunPaused):
            is_paused = True
        elif isinstance(event, RunUnpaused):
            is_paused = False
        elif is_paused and not (
            isinstance(event, (TerminateRequested, RunForked, RunRestored))
            or (isinstance(event, Fact) and event.held)
            or getattr(event, "forced", None)
        ):
            yield f"event {event.seq}, {event.event_type}, came while it was paused"


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
            slack = run.sim.store.counted[f"step#{run.id}#{event.step_id}#{event.attempt}#deaths"]
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
    return entity is not None and list(run_of(run.sim, entity).following)[-1].is_blocked


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
            newest = list(run_of(run.sim, run_id).following)[-1] if record else None
            if newest is None or not newest.history:
                yield f"it waits for {run_id}, which has not begun"
            elif newest.state.ended and not newest.left_its_place:
                yield f"it waits for {newest.id}, which has ended"


def children_tell_what_they_came_to(run: Run) -> Problems:
    for event in run.own:
        if not isinstance(event, ChildCompleted) or event.child_run_id is None:
            continue
        ended = run_of(run.sim, event.child_run_id).state.ended
        if not isinstance(ended, RunCompleted):
            yield f"{event.child_id} is said to have completed, and {event.child_run_id} has not"
        elif _plain(run, ended.result) != _plain(run, event.result):
            yield f"{event.child_id} is said to have come to {event.result!r}, and came to {ended.result!r}"


def _plain(run: Run, value: Any) -> Any:
    return fetch(run.sim.reader.world, value)


def books_balance(run: Run) -> Problems:
    """An order that is not shipped gives back what it took, unless it was ended by force or cannot."""
    if run.record.workflow_name != shop.fulfil_order.name or run.state.ended is None:
        return
    names = {event.step_id: event.name for event in run.history if isinstance(event, StepScheduled)}
    asked = Counter(names.values())
    done = Counter(names[event.step_id] for event in run.history if isinstance(event, StepCompleted))
    failed = {names[event.step_id] for event in run.history if isinstance(event, StepFailed)}
    match run.state.ended:
        case RunCompleted():
            if done["charge"] != 1 or done["ship"] != 1 or done["refund"] or done["release"]:
                yield f"it is shipped, with {dict(done)}"
        case RunFailed(forced=None) | RunCancelled(forced=None):
            if failed & {"release", "refund"}:
                return
            # What failed may have been done. A cancellation comes between the undo's registration and the step, too.
            if asked["reserve"] > done["release"] or asked["charge"] > done["refund"]:
                yield f"it is not shipped, with {dict(asked)} asked for and {dict(done)} done"


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
    no_run_begins_early,
    what_is_paused_stands_still,
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
