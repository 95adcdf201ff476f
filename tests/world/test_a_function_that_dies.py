"""A function that dies, of memory or of time, answers nothing: all that it was at work on comes again when the
visibility timeout is over. What kills it costs one attempt of one step, or blocks one run; its neighbours go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from moto.moto_api._internal import mock_random

from tests.support.aws import Stack
from tests.support.lambdas import failures, sqs_event, sqs_record
from tests.support.systems import finish, skip
from tests.support.wire import WiredSystem, wired_system
from worldflow import RetryPolicy, StepCrashedError, StepInterruptedError, step, workflow
from worldflow.engine.history import StepCompleted, StepFailed
from worldflow.engine.workflow.execution import Execution
from worldflow.runtime import sending, starting
from worldflow.turns.step_runner import StepRunner
from worldflow.worlds import World, ledger
from worldflow.worlds.messages import StepOutcome, StepTask

STEP_VISIBILITY = timedelta(seconds=330)
TURN_VISIBILITY = timedelta(seconds=90)
PATIENCE = 5 * TURN_VISIBILITY
"""How long the neighbours of a message that kills its turns wait at most, in these tests."""

ran: Counter[str] = Counter()


@step(name="dying_work", retry=RetryPolicy(max_attempts=3, initial_interval="1s", jitter=0))
async def work(what: str) -> str:
    ran[what] += 1
    return what


@step(name="dying_once", guarantee="at_most_once")
async def once(what: str) -> str:
    ran[what] += 1
    return what


@workflow(name="dying_works")
async def works(what: str) -> str:
    return await work(what)


@workflow(name="dying_works_inline")
async def works_inline(what: str) -> str:
    return await work.options(inline=True)(what)


@workflow(name="dying_works_once")
async def works_once(what: str) -> str:
    try:
        return await once(what)
    except (StepCrashedError, StepInterruptedError) as error:
        return type(error).__name__


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    ran.clear()
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)


@pytest.fixture
def system(stack: Stack) -> Iterator[WiredSystem]:
    with wired_system(stack, patient=True) as system:
        yield system


@pytest.fixture
def to_be_recorded() -> set[str]:
    """The runs whose steps have their outcomes recorded before a deadly step kills its function."""
    return set()


@pytest.fixture
def deadly_steps(
    system: WiredSystem, to_be_recorded: set[str], monkeypatch: pytest.MonkeyPatch
) -> list[Callable[[StepTask], bool]]:
    """What says of a step that it kills its function."""
    found: list[Callable[[StepTask], bool]] = []
    run, put_outcome = StepRunner.run, ledger.put_outcome
    recorded: dict[str, StepOutcome] = {}

    def record(world: World, outcome: StepOutcome) -> StepOutcome:
        recorded[outcome.run_id] = stored = put_outcome(world, outcome)
        return stored

    async def run_or_die(runner: StepRunner, task: StepTask, *given: Any, **options: Any) -> Any:
        if any(is_deadly(task) for is_deadly in found):
            while not recorded.keys() >= to_be_recorded:
                await asyncio.sleep(0.001)
            system.die()
        return await run(runner, task, *given, **options)

    monkeypatch.setattr(StepRunner, "run", run_or_die)
    monkeypatch.setattr(ledger, "put_outcome", record)
    return found


@pytest.fixture
def deadly_runs(system: WiredSystem, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The runs whose code kills its function."""
    found: set[str] = set()
    apply = Execution.apply

    def apply_or_die(execution: Execution, *args: Any, **kwargs: Any) -> Any:
        if execution.run_id in found:
            system.die()
        return apply(execution, *args, **kwargs)

    monkeypatch.setattr(Execution, "apply", apply_or_die)
    return found


def outcomes(system: WiredSystem, run_id: str) -> list[tuple[str, int]]:
    history = system.world.load_history(run_id)
    return [(event.event_type, event.attempt) for event in history if isinstance(event, StepCompleted | StepFailed)]


def took(system: WiredSystem, began: datetime) -> timedelta:
    return system.clock.now() - began


# --- steps ---------------------------------------------------------------------------------------------------------


def test_a_step_whose_function_dies_runs_again_when_its_message_is_visible(
    system: WiredSystem, deadly_steps: list[Callable[[StepTask], bool]]
) -> None:
    deadly_steps.append(lambda task: not system.deaths)
    began = system.clock.now()
    starting.start(system.world, "r", works, {"what": "x"})

    assert finish(system, "r").result == "x"
    assert outcomes(system, "r") == [("StepCompleted", 1)]
    assert ran["x"] == 1
    assert STEP_VISIBILITY <= took(system, began) < STEP_VISIBILITY + timedelta(seconds=5)


def test_a_step_that_kills_its_function_each_time_costs_one_attempt(
    system: WiredSystem, deadly_steps: list[Callable[[StepTask], bool]]
) -> None:
    deadly_steps.append(lambda task: task.attempt == 1)
    starting.start(system.world, "r", works, {"what": "x"})

    assert finish(system, "r").result == "x"
    assert outcomes(system, "r") == [("StepFailed", 1), ("StepCompleted", 2)]
    assert [queue for queue, _ in system.deaths] == ["steps"] * 5
    assert system.stack.messages("dead-steps") == []


def test_one_that_always_does_fails_its_run_in_the_end(
    system: WiredSystem, deadly_steps: list[Callable[[StepTask], bool]]
) -> None:
    deadly_steps.append(lambda task: True)
    starting.start(system.world, "r", works, {"what": "x"})
    record = finish(system, "r")

    assert record.error and record.error.type.endswith(":StepCrashedError")
    assert outcomes(system, "r") == [("StepFailed", 1), ("StepFailed", 2), ("StepFailed", 3)]


def test_the_neighbours_in_its_batch_come_to_their_end(
    system: WiredSystem, deadly_steps: list[Callable[[StepTask], bool]], to_be_recorded: set[str]
) -> None:
    system.steps_at_once = 5
    to_be_recorded.update("ab")
    deadly_steps.append(lambda task: task.run_id == "deadly")
    runs = {"a": works, "deadly": works, "b": works, "c": works_once}
    for run_id, function in runs.items():
        starting.start(system.world, run_id, function, {"what": run_id})
    system.poll("runs")
    assert len(system.stack.messages("steps")) == 4  # they are received together

    records = {run_id: finish(system, run_id) for run_id in runs}
    assert [records[run_id].result for run_id in "ab"] == ["a", "b"]
    assert records["c"].result in ("c", "StepInterruptedError", "StepCrashedError")
    assert (ran["a"], ran["b"]) == (1, 1)  # the ledger had what came of them
    assert ran["c"] <= 1
    assert records["deadly"].status == "failed"


# --- runs ----------------------------------------------------------------------------------------------------------


def test_a_run_that_kills_its_function_is_blocked_and_goes_on_when_it_is_mended(
    system: WiredSystem, deadly_runs: set[str]
) -> None:
    deadly_runs.add("deadly")
    began = system.clock.now()
    starting.start(system.world, "deadly", works, {"what": "x"})
    record = finish(system, "deadly")

    assert (record.status, record.seq) == ("blocked", 1)
    assert "died" in (record.blocked_reason or "")
    assert took(system, began) < timedelta(minutes=45)
    assert system.stack.messages("dead-runs") == []

    deadly_runs.clear()
    sending.resume(system.world, "deadly")
    assert finish(system, "deadly").result == "x"


GOOD = [f"good-{number}" for number in range(4)]


@pytest.fixture
def began(system: WiredSystem, deadly_runs: set[str]) -> datetime:
    """When a deadly run and its neighbours were started, whose messages are received together each time."""
    mock_random.seed(1)  # the ids of messages, by which it changes who comes first
    deadly_runs.add("deadly")
    for run_id in ["deadly", *GOOD]:
        starting.start(system.world, run_id, works, {"what": run_id})
    now = system.clock.now()
    system.settle()
    return now


def test_its_neighbours_go_on(system: WiredSystem, began: datetime) -> None:
    assert [finish(system, run_id).result for run_id in GOOD] == GOOD
    assert took(system, began) < PATIENCE + TURN_VISIBILITY
    assert ran == dict.fromkeys(GOOD, 1)
    assert finish(system, "deadly").status == "blocked"


def test_most_of_its_neighbours_go_on_before(system: WiredSystem, began: datetime) -> None:
    while took(system, began) < PATIENCE - TURN_VISIBILITY:
        assert skip(system)
    assert [system.world.read_run(run_id).status for run_id in GOOD].count("completed") >= 3


def test_what_cannot_be_acknowledged_at_once_is_acknowledged_with_the_others(
    system: WiredSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("no")

    monkeypatch.setattr(system.world, "acknowledge", refuse)
    assert failures(system._orchestrator(sqs_event(*starts(system, receives=2)))) == []
    assert [len(system.world.load_history(run_id)) for run_id in GOOD] == [2] * len(GOOD)


@pytest.mark.parametrize(("receives", "expected"), [(1, 0), (2, len(GOOD) - 1)])
def test_only_a_batch_that_came_again_is_acknowledged_piece_by_piece(
    system: WiredSystem, monkeypatch: pytest.MonkeyPatch, receives: int, expected: int
) -> None:
    """The last piece is acknowledged by the answer, which follows at once."""
    acknowledged: list[Sequence[str]] = []
    monkeypatch.setattr(system.world, "acknowledge", lambda _, receipts: acknowledged.append(receipts))
    system._orchestrator(sqs_event(*starts(system, receives=receives)))

    assert len(acknowledged) == expected


def starts(system: WiredSystem, *, receives: int) -> list[dict[str, Any]]:
    """Records of one batch: the starts of the good runs."""
    for run_id in GOOD:
        starting.start(system.world, run_id, works, {"what": run_id})
    arn, messages = system.stack.arns["runs"], system.stack.receive("runs", 10)
    return [sqs_record(arn, one.body, receives=receives, receipt=one.receipt_handle) for one in messages]


def test_an_inline_step_that_kills_its_function_costs_one_attempt(
    system: WiredSystem, deadly_steps: list[Callable[[StepTask], bool]]
) -> None:
    deadly_steps.append(lambda task: task.attempt == 1)
    starting.start(system.world, "r", works_inline, {"what": "x"})
    assert finish(system, "r").status == "blocked"
    assert outcomes(system, "r") == [("StepFailed", 1)]

    sending.resume(system.world, "r")
    assert finish(system, "r").result == "x"
    assert outcomes(system, "r") == [("StepFailed", 1), ("StepCompleted", 2)]


def test_what_comes_meanwhile_is_not_lost(system: WiredSystem, deadly_runs: set[str]) -> None:
    deadly_runs.add("r")
    starting.start(system.world, "r", works, {"what": "x"})
    system.settle()
    sending.cancel(system.world, "r", "enough")  # waits behind the message that kills
    assert finish(system, "r").status == "cancelled"
