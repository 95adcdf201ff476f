"""The step executor's Lambda handler: runs steps, each attempt once, and tells their runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support import workflows
from tests.support.lambdas import close_step_handler, failures, sqs_event, sqs_record
from tests.support.systems import AWSSystem
from worldflow import step
from worldflow.aws_handlers import create_step_handler
from worldflow.engine.errors import WorldflowError
from worldflow.engine.history import StepCompleted, StepFailed
from worldflow.runtime import starting
from worldflow.worlds import World, ledger
from worldflow.worlds.messages import FactArrived, Start, StepOutcome, StepTask, load_message


class StepExecutor:
    """The function of a stack, invoked by hand."""

    def __init__(self, system: AWSSystem) -> None:
        self.system = system
        self.world = system.world
        self.scopes: list[dict[str, Any]] = []
        self._handler = create_step_handler(system.world, scope=self._scope)

    @contextmanager
    def _scope(self, **keys: Any) -> Iterator[None]:
        self.scopes.append(keys)
        yield

    def close(self) -> None:
        close_step_handler(self._handler)

    def __call__(self, *tasks: StepTask | Start | str, receives: int = 1) -> list[str]:
        """Runs tasks in one batch. Their messages' ids count from 1."""
        records = [
            sqs_record(
                self.system.stack.arns["steps"],
                task if isinstance(task, str) else task.dump(),
                id=str(number),
                receives=receives,
            )
            for number, task in enumerate(tasks, 1)
        ]
        return failures(self._handler(sqs_event(*records)))

    def told(self) -> list[StepCompleted | StepFailed]:
        """What the runs were told since this was last asked."""
        messages = [load_message(message.body) for message in self.system.stack.messages("runs")]
        self.system.stack.purge("runs")
        facts = [message.fact for message in messages if isinstance(message, FactArrived)]
        return [fact for fact in facts if isinstance(fact, StepCompleted | StepFailed)]

    def result(self, name: str, **fields: Any) -> Any:
        assert self(task(name, **fields)) == []
        (fact,) = self.told()
        assert isinstance(fact, StepCompleted), fact
        return fact.result

    def failure(self, *tasks: StepTask) -> StepFailed:
        assert self(*tasks) == []
        (fact,) = self.told()
        assert isinstance(fact, StepFailed), fact
        return fact


@pytest.fixture
def executor(aws: AWSSystem) -> Iterator[StepExecutor]:
    executor = StepExecutor(aws)
    yield executor
    executor.close()


def task(name: str, step_id: str = "s1", attempt: int = 1, redo: bool = False, **input: Any) -> StepTask:
    return StepTask(run_id="r", step_id=step_id, attempt=attempt, name=name, input=input, redo=redo)


def test_a_step_runs_and_its_run_is_told(executor: StepExecutor) -> None:
    assert executor(task("square", "s7", attempt=2, number=12)) == []

    assert executor.told() == [StepCompleted(step_id="s7", attempt=2, result=144)]


def test_the_outcome_is_in_the_ledger_before_it_is_told(executor: StepExecutor) -> None:
    executor(task("square", number=12))

    assert executor.system.stack.requests == ["dynamodb.PutItem", "sqs.SendMessageBatch"]
    outcome = ledger.get_outcome(executor.world, "r", "s1", 1)
    assert outcome and outcome.fact == StepCompleted(step_id="s1", result=144)


def test_a_step_knows_what_it_is(executor: StepExecutor) -> None:
    assert executor.result("about_itself", step_id="s3", attempt=4) == ["r", "s3", 4, "r/s3"]


def test_a_plain_function_runs_in_a_thread(executor: StepExecutor) -> None:
    assert executor.result("thread_name") != "MainThread"


def test_steps_of_one_batch_run_at_the_same_time(executor: StepExecutor) -> None:
    began = time.monotonic()
    executor(*(task("slow", f"s{number}", seconds=0.3) for number in range(8)))

    assert time.monotonic() - began < 1.5
    assert {fact.step_id for fact in executor.told()} == {f"s{number}" for number in range(8)}


def test_each_step_of_a_batch_knows_itself(executor: StepExecutor) -> None:
    executor(*(task("about_itself", f"s{number}") for number in range(5)))

    results = [fact.result for fact in executor.told() if isinstance(fact, StepCompleted)]
    assert sorted(result[1] for result in results) == [f"s{number}" for number in range(5)]


def test_the_work_on_a_step_has_its_names_around_it(executor: StepExecutor) -> None:
    executor(task("square", "s7", attempt=2, number=1))

    assert executor.scopes == [{"run_id": "r", "step_id": "s7", "attempt": 2}]


def test_one_event_loop_serves_all_invocations(executor: StepExecutor) -> None:
    assert [executor.result("square", attempt=number, number=number) for number in (1, 2, 3)] == [1, 4, 9]


def test_large_results_go_by_reference(executor: StepExecutor) -> None:
    executor(task("big", size=300_000))

    (fact,) = executor.told()
    assert isinstance(fact, StepCompleted)
    assert fact.result["$payload"] in executor.system.stack.objects()[0]


# --- failures ------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "worldflow")


def test_a_step_that_raises_has_failed(executor: StepExecutor) -> None:
    fact = executor.failure(task("charge", charge_id="1", card="declined", amount="5"))

    assert (fact.error.type, fact.error.message) == ("workflows.order:CardDeclined", "the card was declined")
    assert not fact.retryable


def test_what_may_be_tried_again_is_marked(executor: StepExecutor) -> None:
    assert executor.failure(task("charge", charge_id="1", card="flaky", amount="5")).retryable


def test_a_failure_is_in_the_ledger_too(executor: StepExecutor) -> None:
    fact = executor.failure(task("refuse", message="no"))

    outcome = ledger.get_outcome(executor.world, "r", "s1", 1)
    assert outcome and outcome.fact == fact


def test_an_unknown_step_fails_by_name_and_may_be_tried_again(executor: StepExecutor) -> None:
    fact = executor.failure(task("teleport"))

    assert fact.error.type == "worldflow.engine.errors:StepNotFoundError"
    assert "'teleport'" in fact.error.message and "square" in fact.error.message
    assert fact.retryable


@pytest.mark.parametrize("input", [{"number": "many"}, {}, {"number": 1, "more": 2}], ids=repr)
def test_input_that_does_not_fit_fails_for_good(executor: StepExecutor, input: dict[str, Any]) -> None:
    fact = executor.failure(task("square", **input))

    assert fact.error.type == "worldflow.engine.errors:InvalidInputError"
    assert not fact.retryable


def test_one_step_that_fails_leaves_its_neighbours_alone(executor: StepExecutor) -> None:
    assert executor(task("refuse", "s1", message="no"), task("square", "s2", number=3)) == []

    facts = {fact.step_id: fact for fact in executor.told()}
    assert isinstance(facts["s1"], StepFailed)
    assert facts["s2"] == StepCompleted(step_id="s2", result=9)


# --- again ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The calls of `square`, in order."""
    made: list[int] = []

    async def square(number: int) -> int:
        made.append(number)
        return number * number

    monkeypatch.setattr(workflows.square.signature, "_function", square)
    return made


def test_a_step_that_has_ended_does_not_run_again(executor: StepExecutor, calls: list[int]) -> None:
    executor(task("square", number=3))
    first = executor.told()
    assert executor(task("square", number=3), receives=2) == []

    assert executor.told() == first
    assert calls == [3]


def test_a_task_that_was_sent_again_looks_first(executor: StepExecutor, calls: list[int]) -> None:
    executor(task("square", number=3))
    first = executor.told()
    assert executor(task("square", number=3, redo=True)) == []

    assert executor.told() == first
    assert calls == [3]


def test_a_failure_is_not_run_again_either(executor: StepExecutor) -> None:
    first = executor.failure(task("refuse", message="no"))
    executor(task("refuse", message="no"), receives=2)

    assert executor.told() == [first]


def test_an_outcome_of_another_call_is_not_that_of_this_one(executor: StepExecutor, calls: list[int]) -> None:
    # Which had the id in a future that the history of the run has lost.
    executor(task("square", number=3))
    executor.told()
    assert executor(task("square", number=4, redo=True)) == []

    (told,) = executor.told()
    assert isinstance(told, StepCompleted) and told.result == 16
    assert calls == [3, 4]
    recorded = ledger.get_outcome(executor.world, "r", "s1", 1)
    assert recorded and recorded.fact == told


def test_a_step_that_died_before_its_outcome_runs_again(executor: StepExecutor, calls: list[int]) -> None:
    assert executor(task("square", number=3), receives=2) == []

    assert executor.told() == [StepCompleted(step_id="s1", result=9)]
    assert calls == [3]


def test_the_next_attempt_has_an_outcome_of_its_own(executor: StepExecutor, calls: list[int]) -> None:
    executor(task("square", number=3))
    executor(task("square", attempt=2, number=3), receives=2)

    assert calls == [3, 3]


def test_an_outcome_that_could_not_be_told_is_told_by_the_next_delivery(
    executor: StepExecutor, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(executor.world, "send", _raise)
        assert executor(task("square", number=3)) == ["1"]

    assert executor(task("square", number=3), receives=2) == []
    assert executor.told() == [StepCompleted(step_id="s1", result=9)]
    assert calls == [3]


def test_a_task_that_cannot_be_finished_fails_alone(executor: StepExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    put_outcome = ledger.put_outcome

    def broken(world: World, outcome: StepOutcome) -> StepOutcome:
        if outcome.fact.step_id == "s2":
            raise WorldflowError("DynamoDB is away")
        return put_outcome(world, outcome)

    monkeypatch.setattr(ledger, "put_outcome", broken)
    tasks = [task("square", f"s{number}", number=number) for number in (1, 2, 3)]

    assert executor(*tasks) == ["2"]
    assert {fact.step_id for fact in executor.told()} == {"s1", "s3"}


# --- what does not belong here ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    ["hello", "{}", '{"v": 2, "kind": "step", "run_id": "r", "step_id": "s1", "name": "square"}', Start(run_id="r")],
    ids=["no JSON", "no task", "a version from the future", "a message for the orchestrator"],
)
def test_what_is_no_task_fails_alone(executor: StepExecutor, body: Any) -> None:
    assert executor(task("square", "s1", number=2), body, task("square", "s3", number=3)) == ["2"]
    assert {fact.step_id for fact in executor.told()} == {"s1", "s3"}


def test_a_handler_needs_no_scope(aws: AWSSystem) -> None:
    handler = create_step_handler(aws.world)
    event = sqs_event(sqs_record(aws.stack.arns["steps"], task("square", number=2).dump()))
    assert handler(event, None) == {"batchItemFailures": []}


def test_a_handler_that_is_gone_has_closed_its_loop(aws: AWSSystem) -> None:
    handler: Any = create_step_handler(aws.world)
    handler(sqs_event(), None)
    loop = handler.__self__._runner.get_loop()
    del handler
    assert loop.is_closed()


def test_a_whole_run_goes_through_the_handler(aws: AWSSystem) -> None:
    starting.start(aws.world, "r", workflows.squares, {"count": 3})
    aws.settle()

    assert aws.world.read_run("r").result == 5


def _raise(*_: Any, **__: Any) -> None:
    raise WorldflowError("AWS is away")


def test_a_task_and_its_copy_in_one_batch_run_once(aws: AWSSystem) -> None:
    ran: list[str] = []

    @step
    async def count() -> None:
        ran.append("once")
        await asyncio.sleep(0.05)

    executor = StepExecutor(aws)
    try:
        task = StepTask(run_id="r", step_id="s1", name="count", input={})
        assert executor(task, task.model_copy(update={"redo": True})) == []
        assert ran == ["once"]
    finally:
        executor.close()
