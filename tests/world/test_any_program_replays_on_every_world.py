"""Generated workflows on whole systems: whatever comes, in whatever order, however often processes die, and whenever
the garbage collector works, no run is blocked, every history replays, and it holds what was sent.
"""

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.aws import deployed
from tests.support.driver import Chance
from tests.support.generated import SIGNALS, UPDATES, Program, collections, interpreted, programs, small_programs
from tests.support.systems import System, aws_system, local_system, skip
from tests.support.values import a_value, out_of_place
from worldflow.engine.errors import InvalidInputError
from worldflow.engine.history import (
    AnyFact,
    CancelRequested,
    HookResumed,
    RunEnded,
    SignalReceived,
    TerminateRequested,
    UpdateReceived,
)
from worldflow.engine.history.state import RunState
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.definitions import find_workflow
from worldflow.engine.workflow.execution import Execution
from worldflow.runtime import starting
from worldflow.worlds import World, items
from worldflow.worlds.histories import History
from worldflow.worlds.messages import FactArrived, Poke
from worldflow.worlds.records import run_record

RUN = "r"
HAPPENINGS = (
    ["message"] * 4 + ["time"] * 4 + ["settle"] * 2 + ["restart", "deploy", "fail over", "again", "retry", "fork"]
)
MOMENTS = 60
"""So many at most are waited for until nothing happens by itself any more."""

Systems = Callable[[], AbstractContextManager[System]]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs fail without anybody looking."""
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)


@contextmanager
def aws() -> Iterator[System]:
    with deployed() as stack, aws_system(stack) as system:
        yield system


def cases(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        given_cases = given(program=programs, then=st.lists(small_programs, max_size=1), data=st.data())
        silent = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
        return silent(
            settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))(given_cases(test))
        )

    return decorate


@cases(60)
def test_on_sqlite(program: Program, then: list[Program], data: st.DataObject) -> None:
    explore(lambda: local_system(":memory:"), program, then, data)


@cases(6)
def test_on_aws(program: Program, then: list[Program], data: st.DataObject) -> None:
    explore(aws, program, then, data)


def explore(systems: Systems, program: Program, then: list[Program], data: st.DataObject) -> None:
    moments, between = (
        itertools.count(1),
        data.draw(st.sampled_from([0, 1, 2, 3, 7]), label="collect at each nth moment"),
    )
    with collections(lambda: bool(between) and next(moments) % between == 0), systems() as system:
        sent: list[AnyFact] = []
        strict = data.draw(st.booleans(), label="strict")
        starting.start(system.world, RUN, interpreted, {"program": program, "then": then, "strict": strict})
        with deployments(system) as deploy:
            for number in range(10):
                happen(system, number, deploy, data, sent)
        for run_id in run_ids(system):
            system.world.send([Poke(run_id=run_id)])
        system.settle()
        at_rest = any(not skip(system) for _ in range(MOMENTS))
        for run_id in run_ids(system):
            check(system, run_id, sent, at_rest)


def run_ids(system: System) -> list[str]:
    return [record.run_id for record in system.world.list_runs(limit=100).runs]


@contextmanager
def deployments(system: System) -> Iterator[Callable[[bool], None]]:
    """Deploys code that lacks the workflow, or has it. At the end it is there."""
    registry = definitions._workflows._versions
    versions = registry[interpreted.name]

    def deploy(good: bool) -> None:
        if good:
            registry[interpreted.name] = versions
        else:
            registry.pop(interpreted.name, None)
        system.restart()

    try:
        yield deploy
    finally:
        deploy(True)


def happen(
    system: System, number: int, deploy: Callable[[bool], None], data: st.DataObject, sent: list[AnyFact]
) -> None:
    """Something happens: a message, the next moment, the end of a process, or two of them before anybody looks."""
    match data.draw(st.sampled_from(HAPPENINGS), label="what happens"):
        case "message":
            fact = data.draw(facts(number), label="the message")
            if isinstance(fact, HookResumed):
                fact = fact.model_copy(update={"hook_id": open_hook(system, int(fact.hook_id))})
            sent.append(fact)
            copies = data.draw(st.integers(1, 2), label="copies")
            for _ in range(copies):
                system.world.send([FactArrived(run_id=RUN, fact=fact)])
        case "time":
            skip(system)
        case "restart":
            system.restart()
        case "fail over":
            system.fail_over()
        case "deploy":
            deploy(data.draw(st.booleans(), label="code that has the workflow"))
        case "settle":
            system.settle()
        case "again":
            arguments = {"program": data.draw(small_programs, label="the new program"), "then": []}
            policy: Any = data.draw(st.sampled_from(["terminate_existing", "return_existing"]), label="if running")
            starting.start(system.world, RUN, interpreted, arguments, if_running=policy, reuse="allow")
        case "retry":
            with suppress(InvalidInputError):
                starting.retry(system.world, RUN)
        case "fork":
            after = data.draw(st.integers(0, 50), label="fork after")
            history = system.world.load_history(RUN)
            if history:
                with suppress(InvalidInputError):
                    starting.fork(system.world, RUN, f"fork-{number}", after=after % len(history) + 1)


def facts(number: int) -> st.SearchStrategy[AnyFact]:
    return st.one_of(
        st.sampled_from(SIGNALS).map(
            lambda name: SignalReceived(signal_id=f"s{number}", name=name, value=a_value(number))
        ),
        st.sampled_from(UPDATES).map(
            lambda name: UpdateReceived(update_id=f"u{number}", name=name, args=[a_value(number)])
        ),
        st.integers(0, 3).map(
            lambda hook: HookResumed(hook_id=f"{hook}", resume_id=f"r{number}", value=a_value(number))
        ),
        st.just(CancelRequested(reason="enough")),
        st.just(TerminateRequested(reason="at once")),
    )


def open_hook(system: System, number: int) -> str:
    """One of the run's open hooks. How many there are is not for Hypothesis to know, as it may differ by a moment."""
    hooks = list(RunState(system.world.load_history(RUN)).hooks) or ["h1"]
    return hooks[number % len(hooks)]


def check(system: System, run_id: str, sent: Sequence[AnyFact], at_rest: bool) -> None:
    world = system.world
    record = world.read_run(run_id)
    assert record.status != "blocked", record.blocked_reason
    history = world.load_history(run_id)
    assert [event.seq for event in history] == list(range(1, len(history) + 1))
    state = RunState(history)
    assert state.started, f"{run_id} has not begun"
    assert not [event for event in history[:-1] if isinstance(event, RunEnded)], f"{run_id} goes on after its end"
    assert run_record(run_id, state, None, record.updated_at).status == record.status
    facts = {fact.fact_id: fact.payload for fact in sent}
    whole = list(map(History(world).read, history))
    for event in whole:
        assert out_of_place(event) is None
        if isinstance(event, (SignalReceived, UpdateReceived, HookResumed)):
            assert {**event.payload, "held": None} == {**facts[event.fact_id], "held": None}, "it is not as it was sent"
    execution = Execution(run_id, find_workflow(record.workflow_name), Chance(0.5))
    execution.replay(whole)
    assert execution.ended == record.ended
    execution.dispose()
    if at_rest:
        check_nothing_is_forgotten(world, run_id, state)


def check_nothing_is_forgotten(world: World, run_id: str, state: RunState) -> None:
    """When nothing happens by itself any more, everything has happened."""
    holders = [items.get_hook(world, hook.token) for hook in state.hooks.values()]
    children = [
        (open_child.started, world.get_run(open_child.started.child_run_id)) for open_child in state.children.values()
    ]
    if state.ended:
        assert not [holder for holder in holders if holder and holder.run_id == run_id], f"{run_id} still holds a hook"
        for started, child in children:
            if started.parent_close == "abandon":
                assert child, f"{run_id} has not started {started.child_run_id}"
            else:
                # One that was started in the turn in which its parent ended never began.
                assert child is None or child.ended or asked_to_end(world, child.run_id), f"{child.run_id} is forgotten"
    else:
        assert not [step for step in state.steps.values() if step.attempt is not None], f"{run_id} waits for a step"
        assert not state.timers, f"{run_id} waits for a timer"
        for started, child in children:
            assert child and (started.parent_close == "abandon" or not child.ended), f"{run_id} waits for {child}"
        assert all(holder and holder.run_id == run_id for holder in holders), f"{run_id} has lost a hook"


def asked_to_end(world: World, run_id: str) -> bool:
    return any(isinstance(event, CancelRequested) for event in world.load_history(run_id))
