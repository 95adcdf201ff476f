"""Each request to AWS of representative runs fails in turn: before it is sent, and after it took effect; and the
process dies of it, or lives to see the error.

After every single fault all ends as it does without: results, histories, records, and what clients are told.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest

from tests.support import tours_of_several_runs  # noqa: F401 - which are told too
from tests.support.aws import Stack
from tests.support.driver import Chance
from tests.support.systems import told
from tests.support.tours import SCENARIOS, Scenario, Tour, ran
from tests.support.wire import METHODS, Asked, Fault, Wire, WiredSystem, none, wired_system
from worldflow.engine.history import Event, Fact, RunEnded, StepCompleted, StepFailed, StepScheduled
from worldflow.engine.history.state import RunState
from worldflow.engine.workflow.definitions import find_workflow
from worldflow.engine.workflow.execution import Execution
from worldflow.turns.webhook_tokens import WebhooksOf
from worldflow.worlds import RunRecord
from worldflow.worlds.payloads import fetch
from worldflow.worlds.records import run_record

LEDGER = "put_outcome"
"""The method that records what an attempt came to. Once it has, the attempt is not run again."""

READS = {
    "dynamodb.BatchGetItem",
    "dynamodb.GetItem",
    "dynamodb.Query",
    "s3.GetObject",
    "secretsmanager.GetSecretValue",
    "sqs.GetQueueAttributes",
}
CONDITIONAL = {"dynamodb.PutItem", "dynamodb.DeleteItem", "scheduler.CreateSchedule", "scheduler.DeleteSchedule"}
"""Where the second of two requests may get another answer than the first."""

START = ["create_run", "send", "load_history", "get_run_and_item"]
"""The methods by which a run is started, and its first turn begins."""

ELSEWHERE = {"archive", "redrive", "postpone"}
"""Those that no run needs where nothing fails: they are cut short in tests of their own."""


@pytest.fixture(scope="module")
def wire() -> Wire:
    return Wire()


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_all_ends_as_it_does_without_the_fault(stack: Stack, wire: Wire, scenario: Scenario) -> None:
    undisturbed = went(stack, wire, scenario)
    assert undisturbed.asked and not wire.failed

    for asked in to_fail(scenario, undisturbed.asked):
        for fault in faults_of(asked):
            try:
                disturbed = went(stack, wire, scenario, asked.number, fault)
                assert [(failed.number, of) for failed, of in wire.failed] == [(asked.number, fault)]
                assert disturbed.told == undisturbed.told
                if wire.failed[0][0].method not in scenario.may_differ:
                    assert disturbed.stories == undisturbed.stories
            except BaseException as error:
                error.add_note(f"{asked} {fault.value}")
                raise


def to_fail(scenario: Scenario, asked: Sequence[Asked]) -> list[Asked]:
    """Not those of the start of a run, up to its first commit, but in one scenario; nor a read like the one before it.
    `ALL_FAULTS=1` in the environment has all.
    """
    if "ALL_FAULTS" in os.environ:
        return list(asked)
    made = [(one.method, one.serving, one.name) for one in asked]
    begins_as_all = [method for method, _, _ in made[: len(START)]] == START and scenario is not SCENARIOS[0]
    return [
        one
        for number, one in enumerate(asked)
        if not (begins_as_all and number < len(START)) and not (one.name in READS and made[number - 1] == made[number])
    ]


def faults_of(asked: Asked) -> list[Fault]:
    """One before the request takes effect, and one after it where it has an effect; of both, every other kills the
    process. `ALL_FAULTS=1` has all that there are.
    """
    if "ALL_FAULTS" in os.environ:
        return list(Fault)
    survives = bool(asked.number % 2)
    faults = [Fault.THROTTLED if survives else Fault.DIED_BEFORE]
    if asked.name not in READS:
        faults.append(Fault.DIED_AFTER if survives else Fault.UNANSWERED)
    if asked.name in CONDITIONAL and (asked.name != "dynamodb.PutItem" or asked.number % 4 == 0):
        faults.append(Fault.REPEATED)
    return faults


def test_the_scenarios_ask_for_all_that_can_be_asked_of_aws(stack: Stack, wire: Wire) -> None:
    asked: set[str] = set()
    for scenario in SCENARIOS:
        asked |= {one.method for one in went(stack, wire, scenario).asked}

    assert asked == set(METHODS.values()) - ELSEWHERE


@dataclass(frozen=True)
class Outcome:
    stories: dict[str, list[tuple[str, dict[str, Any]]]]
    """What happened to each run."""
    told: list[Any]
    """What the clients were told."""
    asked: tuple[Asked, ...]


def went(stack: Stack, wire: Wire, scenario: Scenario, number: int = -1, fault: Fault | None = None) -> Outcome:
    """How a scenario goes if one request fails. Whatever fails, certain things hold."""
    ran.clear()
    with wired_system(stack, wire) as system:
        wire.reset(
            lambda asked: fault if asked.number == number else None, attempts=2 if fault is Fault.REPEATED else 1
        )
        tour = Tour(system)
        scenario.tell(tour)
        tour.pass_time()
        made, wire.faults = tuple(wire.asked), none
        records = [
            RunRecord.model_validate_json(item["record"]["S"]) for item in stack.items("runs") if "record" in item
        ]
        histories = {record.run_id: system.reader.read_events(record.run_id) for record in records}
        for record in records:
            check_run(system, record, histories[record.run_id])
        check_attempts(system, histories)
        assert not system.deaths or (fault and fault.died), "it takes along what it is handled with"
        check_nothing_is_left(stack)
        return Outcome({run_id: [*map(told, history)] for run_id, history in histories.items()}, tour.told, made)


def check_run(system: WiredSystem, record: RunRecord, history: Sequence[Event]) -> None:
    """The run has ended, its history is valid and replays, and its record agrees with it."""
    world, run_id = system.reader, record.run_id
    assert [event.seq for event in history] == list(range(1, len(history) + 1))
    assert [event for event in history if isinstance(event, RunEnded)] == history[-1:]
    assert not doubled(event.fact_id for event in history if isinstance(event, Fact))
    assert not doubled(
        (event.step_id, event.attempt) for event in history if isinstance(event, StepCompleted | StepFailed)
    )
    data = {"input": fetch(world, record.input), "result": fetch(world, record.result)}
    assert run_record(run_id, RunState(history), None, record.updated_at) == record.model_copy(update=data)

    execution = Execution(run_id, find_workflow(record.workflow_name, record.version), Chance(0.5), WebhooksOf(world))
    execution.replay(history)
    execution.dispose()


def check_attempts(system: WiredSystem, histories: Mapping[str, Sequence[Event]]) -> None:
    """An attempt ran twice only where what failed was to tell that it had run, and an `at_most_once` one never."""
    for attempt in doubled(ran.elements()):
        run_id, step_id, _ = attempt.rsplit("/", 2)
        (scheduled,) = [
            event for event in histories[run_id] if isinstance(event, StepScheduled) and event.step_id == step_id
        ]
        assert ran[attempt] == 2 and not scheduled.at_most_once, f"{attempt} ran {ran[attempt]} times"
        ((asked, fault),) = system.wire.failed
        if scheduled.inline:
            assert asked.serving in ("runs", "dead-runs")
        else:
            assert asked.serving == "steps"
            assert asked.method in ("beat", "put_payload") or (asked.method == LEDGER and not fault.took_effect)


def check_nothing_is_left(stack: Stack) -> None:
    """No message, no schedule, no token that a run holds that has ended."""
    assert {
        queue: [message.body for message in stack.messages(queue)] for queue in stack.arns if stack.messages(queue)
    } == {}
    assert stack.schedules() == []
    assert [item["run_id"]["S"] for item in stack.items("runs") if item["run_id"]["S"].startswith("hook#")] == []


def doubled(things: Any) -> list[Any]:
    return [thing for thing, times in Counter(things).items() if times > 1]
