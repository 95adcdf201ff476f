"""What earlier releases recorded replays on this one, decision by decision, and ends as it did then."""

from datetime import datetime
from typing import Any, get_args

import pytest

import worldflow
from tests.histories import (
    ends_0_1_0,
    order_0_1_0,
    workflows_0_1_0,
    workflows_0_2_0,
    workflows_0_3_0,
    workflows_0_4_0,
    workflows_0_5_0,
)
from tests.histories.stored import PLACE, StoredHistory, files, load
from tests.support.driver import Chance
from worldflow.engine.errors import NonDeterminismError
from worldflow.engine.history import (
    UNRECORDED,
    Applied,
    Decision,
    Event,
    Fact,
    HookCreated,
    RunStarted,
    StepRetryScheduled,
    VersionMarked,
)
from worldflow.engine.history.state import RunState
from worldflow.engine.workflow import inbox
from worldflow.engine.workflow.definitions import find_workflow
from worldflow.engine.workflow.execution import Execution
from worldflow.worlds import LocalWorld
from worldflow.worlds.payloads import fetch
from worldflow.worlds.records import run_record

WORKFLOWS = (
    ends_0_1_0,
    order_0_1_0,
    workflows_0_1_0,
    workflows_0_2_0,
    workflows_0_3_0,
    workflows_0_4_0,
    workflows_0_5_0,
)
"""Imported, so that the workflows are known."""

KNOWN_TO = {
    "0.1.0": {
        *("RunStarted", "StepCompleted", "StepFailed", "TimerFired", "SignalReceived", "CancelRequested", "Applied"),
        *("StepScheduled", "StepRetryScheduled", "StepAbandoned", "TimerStarted", "TimerCancelled"),
        *("RunCompleted", "RunFailed", "RunCancelled"),
    },
}
KNOWN_TO["0.2.0"] = KNOWN_TO["0.1.0"] | {
    *("HookCreated", "HookResumed", "HookConflicted", "HookDisposed", "UpdateReceived", "Replied", "AttributesSet"),
    *("ChildStarted", "ChildCompleted", "ChildFailed", "ChildCancelRequested", "VersionMarked"),
    *("RunContinued", "TerminateRequested", "RunForked"),
}
KNOWN_TO["0.3.0"] = KNOWN_TO["0.2.0"]
KNOWN_TO["0.4.0"] = KNOWN_TO["0.3.0"] | {"RunRestored"}
KNOWN_TO["0.5.0"] = KNOWN_TO["0.4.0"] | {"StreamWritten", "StepCancelRequested", "RunPaused", "RunUnpaused"}
"""The kinds of event that each release has written."""

IDENTIFYING = ("step_id", "timer_id", "child_id", "hook_id", "fact_id", "change_id", "name", "workflow_name", "stream")
"""What replay compares, of whichever decision has it."""

NO_RETRY = StepRetryScheduled(step_id="", attempt=0, due=UNRECORDED)

FILES = files()
WITHOUT_ITS_CODE = "held_and_cancelled"
"""A run that ended while its code was missing is never replayed."""

REPLAYED = {name: path for name, path in FILES.items() if WITHOUT_ITS_CODE not in name}


class Webhooks:
    """Webhooks whose tokens are those that were recorded."""

    def __init__(self, events: list[Event]) -> None:
        self._tokens = {event.hook_id: event.token for event in events if isinstance(event, HookCreated)}

    def token(self, run_id: str, hook_id: str, expires: datetime) -> str:
        return self._tokens[hook_id]

    def url(self, token: str) -> str:
        return f"https://example.test/webhooks/{token}"


def execution_of(stored: StoredHistory) -> Execution:
    version = next(event.version for event in stored.events if isinstance(event, RunStarted))
    return Execution(
        stored.header.run_id,
        find_workflow(stored.header.workflow, version),
        Chance(0.5),
        webhooks=Webhooks(stored.events),
    )


def replay(stored: StoredHistory, events: list[Event]) -> Execution:
    execution = execution_of(stored)
    try:
        execution.replay(stored.fetched(events))
    except BaseException:
        execution.dispose()
        raise
    return execution


def outcome(run_id: str, events: list[Event], payloads: dict[str, str]) -> tuple[str, Any, Any]:
    """What a history says of its run: status, result, error."""
    world = LocalWorld()
    for key, text in payloads.items():
        world.put_payload(key, text.encode())
    state = RunState(events)
    told = run_record(run_id, state, "its code is missing" if state.held else None, events[-1].at)
    result = fetch(world, told.result)
    world.close()
    return told.status, result, told.error


def outcome_of(stored: StoredHistory, events: list[Event]) -> tuple[str, Any, Any]:
    return outcome(stored.header.run_id, events, stored.header.payloads)


def expected(stored: StoredHistory) -> tuple[str, Any, Any]:
    return stored.header.status, stored.header.result, stored.header.error


@pytest.fixture(params=FILES.values(), ids=FILES)
def stored(request: pytest.FixtureRequest) -> StoredHistory:
    return load(request.param)


@pytest.fixture(params=REPLAYED.values(), ids=REPLAYED)
def replayed(request: pytest.FixtureRequest) -> StoredHistory:
    return load(request.param)


def test_the_history_says_how_the_run_ended(stored: StoredHistory):
    assert outcome_of(stored, stored.events) == expected(stored)


def test_it_replays(replayed: StoredHistory):
    execution = replay(replayed, replayed.events)
    assert execution.ended == (replayed.header.status not in ("running", "blocked"))
    execution.dispose()


def test_every_decision_is_the_one_that_was_recorded(replayed: StoredHistory):
    """Arguments, due times and results too, which a replay does not compare."""
    execution = execution_of(replayed)
    if replayed.header.release < "0.5.0":
        # The marks of changes to the engine that these histories are older than, as a replay finds them.
        execution.patches.update(dict.fromkeys((inbox._MISFITS_ARE_LEFT_OUT, inbox._NAMES_ARE_CHECKED), False))
    events = replayed.fetched()
    held: dict[str, Fact] = {}
    decided: list[Decision] = []
    for index, event in enumerate(events):
        if isinstance(event, Fact) and event.held:
            held[event.fact_id] = event
        elif isinstance(event, (Fact, Applied)):
            fact: Any = held.pop(event.fact_id) if isinstance(event, Applied) else event
            follows = events[index + 1] if index + 1 < len(events) else None
            retry = follows if isinstance(follows, StepRetryScheduled) else None
            decided += execution.apply(fact, event.at, retry or NO_RETRY)
    execution.dispose()
    recorded = [event for event in events if is_the_workflows(event)]
    assert len(decided) == len(recorded)
    for now, then in zip(decided, recorded, strict=True):
        written = {name: value for name, value in then.payload.items() if name in then.__dict__}
        if (error := then.__dict__.get("error")) is not None:
            written["error"] = error.model_dump(mode="json", exclude_unset=True)
        assert _known(now.payload, written) == _known(written, written)


def is_the_workflows(event: Event) -> bool:
    """Whether the workflow has decided it, and not the engine in its place."""
    return isinstance(event, Decision) and not isinstance(event, Applied) and not getattr(event, "forced", None)


def _known(value: Any, then: Any) -> Any:
    """`value` without tracebacks, and without what nobody knew of when `then` was recorded."""
    if isinstance(value, dict) and isinstance(then, dict):
        return {name: _known(value[name], then[name]) for name in then if name in value and name != "traceback"}
    if isinstance(value, list) and isinstance(then, list) and len(value) == len(then):
        return [_known(*both) for both in zip(value, then, strict=True)]
    return value


def test_a_decision_that_is_missing_is_noticed(replayed: StoredHistory):
    for index, event in enumerate(replayed.events):
        if isinstance(event, Decision) and not may_be_missing(event):
            assert noticed(replayed, [*replayed.events[:index], *replayed.events[index + 1 :]]), event


def test_a_decision_that_was_altered_is_noticed(replayed: StoredHistory):
    for index, event in enumerate(replayed.events):
        for field in IDENTIFYING:
            if isinstance(event, Decision) and hasattr(event, field) and not may_be_missing(event):
                altered = event.model_copy(update={field: "altered"})
                assert noticed(replayed, [*replayed.events[:index], altered, *replayed.events[index + 1 :]]), altered


def may_be_missing(event: Event) -> bool:
    """The mark of a change that only the new way is left of: code that does not make it replays too."""
    return isinstance(event, VersionMarked) and event.deprecated is True


def noticed(stored: StoredHistory, events: list[Event]) -> bool:
    """Whether a replay refuses the events, or they say that the run ended otherwise."""
    try:
        replay(stored, events).dispose()
        return outcome_of(stored, events) != expected(stored)
    except (NonDeterminismError, KeyError):  # a KeyError: an event that answers to nothing
        return True


@pytest.mark.parametrize("release", KNOWN_TO)
def test_every_kind_of_event_that_a_release_wrote_is_in_its_set(release: str):
    recorded = {event.event_type for path in (PLACE / release).iterdir() for event in load(path).events}
    assert recorded == KNOWN_TO[release]


def test_every_kind_of_event_is_one_that_a_release_wrote():
    kinds = {kind.event_type for kind in get_args(Event)}
    assert kinds == set().union(*KNOWN_TO.values()), "python -m tests.histories.record RELEASE"


def test_this_release_has_recorded_its_set():
    release = worldflow.__version__
    assert (PLACE / release).is_dir(), f"python -m tests.histories.record {release}"
    assert release in KNOWN_TO
