"""Any workflow, made of what asyncio and Worldflow have, decides the same on every replay, in whatever order the facts
come, whatever it makes of what it is given, and whenever the garbage collector works.
"""

import itertools
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.driver import Driver, raised
from tests.support.generated import SIGNALS, UPDATES, Program, collections, interpreted, programs, small_programs
from tests.support.values import Refused, a_value, out_of_place
from worldflow import RunCancelledError
from worldflow.engine.history import (
    ChildCompleted,
    ChildFailed,
    HookConflicted,
    HookResumed,
    RunContinued,
    RunEnded,
    UpdateReceived,
)
from worldflow.engine.history.failures import encode_exception


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs fail without anybody looking, on every replay again."""
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)


# A `finally` of a disposed execution that fans out leaves the coroutines that it made.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=programs, then=st.lists(small_programs, max_size=1), data=st.data())
def test_every_replay_decides_the_same(program: Program, then: list[Program], data: st.DataObject):
    moments, between = (
        itertools.count(1),
        data.draw(st.sampled_from([0, 1, 2, 3, 7]), label="collect at each nth moment"),
    )
    with collections(lambda: bool(between) and next(moments) % between == 0):
        go_through(Driver(interpreted, program, then), then, data)


def go_through(run: Driver, then: list[Program], data: st.DataObject) -> None:
    try:
        for _ in range(25):
            if run.ended:
                break
            step_into(run, data)
        if run.ended and "CancelRequested" not in {event.event_type for event in run.history}:
            assert isinstance(run.state.ended, RunContinued) if then else isinstance(run.result(), list)
        assert not [event for event in run.history[:-1] if isinstance(event, RunEnded)]
        assert not list(filter(None, map(out_of_place, run.history)))
    finally:
        run.close()


def step_into(run: Driver, data: st.DataObject) -> None:
    """Something happens to the run."""
    state = run.state
    choices = [*run.open_steps()] * 2 + [*state.timers, *state.children] * 2 + [*state.hooks]
    choices += [f"signal {name}" for name in SIGNALS] + [f"update {name}" for name in UPDATES]
    if not state.cancel_requested and data.draw(st.integers(0, 9), label="cancel at 9") == 9:
        choices = ["cancel"]
    match data.draw(st.sampled_from(choices), label="what happens").split():
        case ["cancel"]:
            run.cancel()
        case ["signal", name]:
            run.signal(name, a_value(len(run.history)))
        case ["update", name]:
            run.feed(UpdateReceived(update_id=f"u{len(run.history)}", name=name, args=[a_value(len(run.history))]))
        case [id] if id in state.timers:
            run.fire(id)
        case [id] if id in state.children:
            tell_of_child(run, id, data)
        case [id] if id in state.hooks:
            if data.draw(st.integers(0, 3), label="conflict at 3") == 3:
                run.feed(HookConflicted(hook_id=id))
            else:
                run.feed(HookResumed(hook_id=id, resume_id=f"h{len(run.history)}", value=a_value(len(run.history))))
        case [id]:
            if data.draw(st.booleans(), label="succeeds"):
                run.complete(id, a_value(len(run.history)))
            else:
                run.fail(id, Refused(a_value(len(run.history))), retryable=data.draw(st.booleans(), label="retryable"))


def tell_of_child(run: Driver, id: str, data: st.DataObject) -> None:
    """A child ends."""
    match data.draw(st.sampled_from(["completed", "failed", "cancelled"]), label="the child"):
        case "completed":
            run.feed(ChildCompleted(child_id=id, result=a_value(len(run.history))))
        case "failed":
            run.feed(ChildFailed(child_id=id, error=encode_exception(raised(Refused(a_value(len(run.history)))))))
        case "cancelled":
            error = RunCancelledError("cancelled", run.state.children[id].started.child_run_id)
            run.feed(ChildFailed(child_id=id, error=encode_exception(raised(error))))
