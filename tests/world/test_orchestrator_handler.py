"""The orchestrator's Lambda handler: batches in, the messages that failed out."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from tests.support import workflows
from tests.support.aws import QueueName
from tests.support.lambdas import failures, sqs_event, sqs_record
from tests.support.systems import AWSSystem, finish
from worldflow.engine.errors import WorldflowError
from worldflow.engine.history import Failure, SignalReceived, StepCompleted, StepFailed, TimerFired
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import starting
from worldflow.serving.batches import TURN_MARGIN, Record
from worldflow.serving.orchestrator_handler import by_run, create_orchestrator_handler
from worldflow.serving.outages import LIFE_RECEIVES, TURN_DEATHS, key_of_task
from worldflow.worlds import ledger
from worldflow.worlds.messages import (
    Delayed,
    FactArrived,
    Message,
    Poke,
    Start,
    StepDue,
    StepOutcome,
    StepTask,
    load_message,
)

NO_MESSAGE = {"no JSON": "hello", "nothing": "", "no object": "[1]", "another's": '{"order": 7}'}
"""What no version of the code has ever sent."""

UNREADABLE = {
    "no kind": json.dumps({"v": 1, "run_id": "a"}),
    "an unknown kind": json.dumps({"v": 1, "kind": "teleport", "run_id": "a"}),
    "a version from the future": json.dumps({"v": 2, "kind": "start", "run_id": "a"}),
    "an unknown fact": json.dumps({"v": 1, "kind": "fact", "run_id": "a", "fact": {"event_type": "Rained"}}),
    "a decision": json.dumps({"v": 1, "kind": "fact", "run_id": "a", "fact": {"event_type": "RunCompleted"}}),
    "no run": json.dumps({"v": 1, "kind": "start"}),
    "an unknown message within": json.dumps(
        {"v": 1, "kind": "delayed", "due": "2026-01-15T10:00:00Z", "message": {"kind": "teleport", "run_id": "a"}}
    ),
}


class Orchestrator:
    """The function of a stack, invoked by hand."""

    def __init__(self, system: AWSSystem) -> None:
        self.system = system
        self.world = system.world
        self.scopes: list[dict[str, Any]] = []
        self.restart()

    def died(self, key: str, times: int) -> None:
        """Work on the message of this key has killed its function so often."""
        for _ in range(times):
            self.world.deaths.begin(key)

    def restart(self) -> None:
        self._handler = create_orchestrator_handler(self.world, scope=self._scope)

    @contextmanager
    def _scope(self, **keys: Any) -> Iterator[None]:
        self.scopes.append(keys)
        yield

    def __call__(self, *records: dict[str, Any]) -> list[str]:
        return failures(self._handler(sqs_event(*records)))

    def record(self, message: Message | Delayed | str, **fields: Any) -> dict[str, Any]:
        queue: QueueName = fields.pop("queue", "runs")
        body = message if isinstance(message, str) else message.dump()
        return sqs_record(self.system.stack.arns[queue], body, **fields)

    def start(self, run_id: str, workflow: Workflow[..., Any], **arguments: Any) -> None:
        """Takes the run's first turn."""
        starting.start(self.world, run_id, workflow, arguments)
        assert self(self.record(Start(run_id=run_id))) == []
        self.sent("runs")

    def kinds(self, run_id: str) -> list[str]:
        return [event.event_type for event in self.world.load_history(run_id)]

    def sent(self, queue: QueueName) -> list[Message | Delayed]:
        """The messages in a queue, which is empty afterwards."""
        messages = [load_message(message.body) for message in self.system.stack.messages(queue)]
        self.system.stack.purge(queue)
        return messages


@pytest.fixture
def orchestrator(aws: AWSSystem) -> Orchestrator:
    return Orchestrator(aws)


def completed(run_id: str, step_id: str, result: Any = 1, attempt: int = 1) -> FactArrived:
    return FactArrived(run_id=run_id, fact=StepCompleted(step_id=step_id, attempt=attempt, result=result))


def signal(run_id: str, number: int) -> FactArrived:
    return FactArrived(run_id=run_id, fact=SignalReceived(signal_id=str(number), name="value", value=number))


# --- batches -------------------------------------------------------------------------------------------------------


def test_messages_of_one_run_are_one_turn(orchestrator: Orchestrator) -> None:
    orchestrator.start("a", workflows.collect, count=3)
    orchestrator.start("b", workflows.collect, count=3)
    orchestrator.system.stack.requests.clear()
    batch = [signal("a", 1), signal("b", 1), signal("a", 2), signal("b", 2), signal("a", 3)]

    failed = orchestrator(*(orchestrator.record(message, id=str(n)) for n, message in enumerate(batch)))

    assert failed == []
    # A commit for each run, and the record of the one that ended.
    assert orchestrator.system.stack.requests == ["dynamodb.PutItem"] * 3
    assert orchestrator.kinds("a") == ["RunStarted", *["SignalReceived"] * 3, "RunCompleted"]
    assert orchestrator.kinds("b") == ["RunStarted", *["SignalReceived"] * 2]
    record = orchestrator.world.get_run("a")
    assert record and record.result == [1, 2, 3]


def test_a_turn_that_fails_takes_all_messages_of_its_run_and_no_other(
    orchestrator: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id in ("a", "b", "c"):
        orchestrator.start(run_id, workflows.collect, count=9)
    append = orchestrator.world.append

    def broken(run_id: str, events: Any) -> None:
        if run_id == "b":
            raise WorldflowError("DynamoDB is away")
        append(run_id, events)

    monkeypatch.setattr(orchestrator.world, "append", broken)
    batch = {"1": signal("a", 1), "2": signal("b", 1), "3": signal("c", 1), "4": signal("b", 2), "5": signal("a", 2)}
    failed = orchestrator(*(orchestrator.record(message, id=id) for id, message in batch.items()))

    assert sorted(failed) == ["2", "4"]
    assert [len(orchestrator.kinds(run_id)) for run_id in ("a", "b", "c")] == [3, 1, 2]


def test_what_failed_is_handled_when_it_comes_again(
    orchestrator: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestrator.start("a", workflows.collect, count=2)
    with monkeypatch.context() as patch:
        patch.setattr(orchestrator.world, "append", _raise)
        assert orchestrator(orchestrator.record(signal("a", 1), id="1")) == ["1"]

    assert orchestrator(orchestrator.record(signal("a", 1), receives=2), orchestrator.record(signal("a", 2))) == []
    record = orchestrator.world.get_run("a")
    assert record and record.result == [1, 2]


def test_the_run_that_failed_least_often_goes_first(orchestrator: Orchestrator) -> None:
    batch = [signal("a", 1), signal("b", 1), signal("c", 1)]
    receives = [4, 1, 2]
    orchestrator(
        *(
            orchestrator.record(message, id=str(count), receives=count)
            for message, count in zip(batch, receives, strict=True)
        )
    )

    assert [scope["run_id"] for scope in orchestrator.scopes] == ["b", "c", "a"]


def test_messages_for_nobody_are_dropped(orchestrator: Orchestrator) -> None:
    messages: list[Message] = [Start(run_id="x"), signal("x", 1), Poke(run_id="x"), completed("x", "s1")]

    assert orchestrator(*(orchestrator.record(message) for message in messages)) == []
    assert orchestrator.system.stack.is_untouched()


def test_a_handler_needs_no_scope(orchestrator: Orchestrator) -> None:
    handler = create_orchestrator_handler(orchestrator.world)

    assert handler(sqs_event(orchestrator.record(Start(run_id="x"))), None) == {"batchItemFailures": []}


# --- what cannot be read -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_fails_alone(orchestrator: Orchestrator, name: str) -> None:
    for run_id in ("a", "b"):
        orchestrator.start(run_id, workflows.collect, count=9)
    failed = orchestrator(
        orchestrator.record(signal("a", 1), id="1"),
        orchestrator.record(UNREADABLE[name], id="2"),
        orchestrator.record(signal("a", 2), id="3"),
        orchestrator.record(signal("b", 1), id="4"),
    )

    assert failed == ["2"]
    assert [len(orchestrator.kinds(run_id)) for run_id in ("a", "b")] == [3, 2]


@pytest.mark.parametrize("body", NO_MESSAGE.values(), ids=NO_MESSAGE)
def test_what_is_no_message_goes_to_the_dead_letters_at_once(orchestrator: Orchestrator, body: str) -> None:
    orchestrator.start("a", workflows.collect, count=3)

    failed = orchestrator(
        orchestrator.record(body, id="1", group="a"), orchestrator.record(signal("a", 1), id="2", group="a")
    )

    assert failed == []
    assert len(orchestrator.kinds("a")) == 2
    (dead,) = orchestrator.system.stack.messages("dead-runs")
    assert dead.body == body
    assert dead.group_id != "a"


def test_what_is_no_message_waits_among_the_dead_letters(orchestrator: Orchestrator) -> None:
    assert orchestrator(orchestrator.record("hello", id="1", queue="dead-runs")) == ["1"]
    assert not orchestrator.system.stack.messages("dead-runs")


def test_the_log_says_what_cannot_be_read_and_not_what_it_says(
    orchestrator: Orchestrator, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({"v": 2, "kind": "fact", "run_id": "a", "fact": {"event_type": "Rained", "card": "4242"}})
    orchestrator(orchestrator.record(body, id="the-message"))

    assert "the-message" in caplog.text
    assert "4242" not in caplog.text


def test_what_cannot_be_read_goes_to_the_dead_letters_and_the_rest_goes_on(aws: AWSSystem) -> None:
    starting.start(aws.world, "a", workflows.chain, {"length": 2})
    aws.stack.sqs.send_message(
        QueueUrl=aws.stack.urls["runs"], MessageBody="hello", MessageGroupId="a", MessageDeduplicationId="x"
    )
    for _ in range(20):
        for queue in ("runs", "steps"):
            aws.poll(queue)

    (dead,) = aws.stack.messages("dead-runs")
    assert dead.body == "hello"
    assert aws.world.read_run("a").status == "completed"


# --- received before -----------------------------------------------------------------------------------------------


def test_a_message_received_before_has_what_is_open_sent_again(orchestrator: Orchestrator) -> None:
    orchestrator.start("a", workflows.squares, count=3)
    orchestrator.sent("steps")
    orchestrator(orchestrator.record(Start(run_id="a"), receives=2))

    tasks = orchestrator.sent("steps")
    assert [(task.step_id, task.redo) for task in tasks if isinstance(task, StepTask)] == [
        ("s1", True),
        ("s2", True),
        ("s3", True),
    ]
    assert orchestrator.kinds("a").count("RunStarted") == 1


def test_a_duplicate_on_its_first_delivery_is_only_dropped(orchestrator: Orchestrator) -> None:
    orchestrator.start("a", workflows.squares, count=3)
    orchestrator.sent("steps")
    orchestrator(orchestrator.record(Start(run_id="a")))

    assert orchestrator.sent("steps") == []


def test_what_was_committed_and_not_sent_is_sent_by_the_next_delivery(
    orchestrator: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestrator.start("a", workflows.chain, length=3)
    orchestrator.sent("steps")
    with monkeypatch.context() as patch:
        patch.setattr(orchestrator.world, "send", _raise)
        assert orchestrator(orchestrator.record(completed("a", "s1"), id="1")) == ["1"]
    assert orchestrator.kinds("a")[-1] == "StepScheduled"
    assert orchestrator.sent("steps") == []

    assert orchestrator(orchestrator.record(completed("a", "s1"), receives=2)) == []
    assert [task.step_id for task in orchestrator.sent("steps") if isinstance(task, StepTask)] == ["s2"]


@pytest.mark.parametrize("restart", [False, True], ids=["warm", "cold"])
def test_the_end_is_recorded_by_the_next_delivery(
    orchestrator: Orchestrator, monkeypatch: pytest.MonkeyPatch, restart: bool
) -> None:
    orchestrator.start("a", workflows.chain, length=1)
    with monkeypatch.context() as patch:
        patch.setattr(orchestrator.world, "update_run", _raise)
        assert orchestrator(orchestrator.record(completed("a", "s1"), id="1")) == ["1"]
    record = orchestrator.world.get_run("a")
    assert record and record.status == "running"
    if restart:
        orchestrator.restart()

    assert orchestrator(orchestrator.record(completed("a", "s1"), receives=2)) == []
    record = orchestrator.world.get_run("a")
    assert record and record.status == "completed"


def test_a_process_that_is_behind_reads_what_another_has_committed(orchestrator: Orchestrator) -> None:
    orchestrator.start("a", workflows.collect, count=3)
    other = Orchestrator(orchestrator.system)
    other(other.record(signal("a", 1)))

    assert orchestrator(orchestrator.record(signal("a", 2))) == []
    assert other(other.record(signal("a", 3))) == []
    record = orchestrator.world.get_run("a")
    assert record and record.result == [1, 2, 3]


# --- timers --------------------------------------------------------------------------------------------------------


def test_what_is_due_goes_on_to_its_queue(orchestrator: Orchestrator) -> None:
    now = orchestrator.system.clock.now()
    fired = FactArrived(run_id="a", fact=TimerFired(timer_id="t1"))
    retry = StepDue(run_id="b", step_id="s1", attempt=2)
    task = StepTask(run_id="c", step_id="s1", name="square")
    batch = [Delayed(due=now - timedelta(seconds=1), message=message) for message in (fired, retry, task)]

    assert orchestrator(*(orchestrator.record(message, queue="timers") for message in batch)) == []
    assert sorted(orchestrator.sent("runs"), key=lambda sent: sent.run_id) == [fired, retry]  # side by side
    assert orchestrator.sent("steps") == [task]


@pytest.mark.parametrize("ahead", [timedelta(seconds=40), timedelta(minutes=14)], ids=str)
def test_what_comes_early_waits_for_the_rest_of_its_time(orchestrator: Orchestrator, ahead: timedelta) -> None:
    due = orchestrator.system.clock.now() + ahead
    early = Delayed(due=due, message=FactArrived(run_id="a", fact=TimerFired(timer_id="t1")))

    assert orchestrator(orchestrator.record(early, queue="timers")) == []
    (message,) = orchestrator.system.stack.messages("timers")
    assert load_message(message.body) == early
    assert due.timestamp() <= message.delayed_until / 1_000 + 0.001 < due.timestamp() + 1.5
    assert orchestrator.sent("runs") == []


def test_what_comes_far_too_early_is_scheduled_again(orchestrator: Orchestrator) -> None:
    due = orchestrator.system.clock.now() + timedelta(days=3)
    early = Delayed(due=due, message=FactArrived(run_id="a", fact=TimerFired(timer_id="t1")))

    assert orchestrator(orchestrator.record(early, queue="timers")) == []
    assert len(orchestrator.system.stack.schedules()) == 1


def test_a_timer_that_cannot_be_sent_on_fails_alone(
    orchestrator: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = orchestrator.system.clock.now() - timedelta(seconds=1)
    send = orchestrator.world.send

    def broken(messages: Any) -> None:
        if messages[0].message.run_id == "b":
            raise WorldflowError("SQS is away")
        send(messages)

    monkeypatch.setattr(orchestrator.world, "send", broken)
    batch = {run_id: Delayed(due=past, message=Poke(run_id=run_id, nonce="n")) for run_id in "abc"}
    failed = orchestrator(*(orchestrator.record(one, id=id, queue="timers") for id, one in batch.items()))

    assert failed == ["b"]
    # In the order in which their threads came to send them.
    assert sorted(message.run_id for message in orchestrator.sent("runs") if isinstance(message, Poke)) == ["a", "c"]


def test_a_timer_that_was_forwarded_twice_fires_once(orchestrator: Orchestrator) -> None:
    orchestrator.start("a", workflows.pauses, count=2, seconds=1)
    fired = FactArrived(run_id="a", fact=TimerFired(timer_id="t1"))
    orchestrator(orchestrator.record(fired))
    orchestrator(orchestrator.record(fired))

    assert orchestrator.kinds("a") == ["RunStarted", "TimerStarted", "TimerFired", "TimerStarted"]


def test_a_timer_counts_as_fired_when_it_was_due_and_not_before(orchestrator: Orchestrator) -> None:
    orchestrator.start("a", workflows.pauses, count=1, seconds=50)
    started = orchestrator.world.load_history("a")[-1]
    orchestrator(orchestrator.record(FactArrived(run_id="a", fact=TimerFired(timer_id="t1"))))

    fired = orchestrator.world.load_history("a")[-2]
    assert fired.event_type == "TimerFired"
    assert fired.at >= started.due  # type: ignore[union-attr]


# --- dead letters --------------------------------------------------------------------------------------------------


def test_a_dead_message_of_a_run_is_a_turn_that_does_all_again(orchestrator: Orchestrator) -> None:
    orchestrator.start("a", workflows.chain, length=2)
    orchestrator.sent("steps")
    orchestrator.died("dead#1", TURN_DEATHS - 2)
    dead = orchestrator.record(signal("a", 1), id="1", queue="dead-runs", receives=1_001)

    assert orchestrator(dead) == []
    assert orchestrator.kinds("a")[-1] == "SignalReceived"
    assert [task.step_id for task in orchestrator.sent("steps") if isinstance(task, StepTask)] == ["s1"]
    assert orchestrator.world.read_run("a").status == "running"


def test_a_message_that_kills_its_turn_again_blocks_the_run(orchestrator: Orchestrator) -> None:
    orchestrator.start("a", workflows.collect, count=2)
    orchestrator.died("dead#1", TURN_DEATHS - 1)
    dead = orchestrator.record(signal("a", 1), id="1", queue="dead-runs", receives=1_002)

    assert orchestrator(dead) == []
    assert orchestrator.kinds("a")[-1] == "SignalReceived"
    assert orchestrator.world.load_history("a")[-1].held  # type: ignore[union-attr]
    record = orchestrator.world.read_run("a")
    assert record.status == "blocked"
    assert "died" in (record.blocked_reason or "")


def test_a_blocked_run_goes_on_with_what_it_was_not_told(orchestrator: Orchestrator) -> None:
    orchestrator.start("a", workflows.collect, count=2)
    orchestrator.died("dead#1", TURN_DEATHS - 1)
    orchestrator(orchestrator.record(signal("a", 1), id="1", queue="dead-runs"))

    assert orchestrator(orchestrator.record(signal("a", 2))) == []
    record = orchestrator.world.read_run("a")
    assert (record.status, record.result) == ("completed", [1, 2])
    assert "Applied" in orchestrator.kinds("a")


def test_dead_letters_of_one_batch_are_handled_one_by_one(orchestrator: Orchestrator) -> None:
    orchestrator.start("a", workflows.collect, count=3)
    orchestrator.died("dead#2", TURN_DEATHS - 1)
    failed = orchestrator(
        orchestrator.record(signal("a", 1), id="1", queue="dead-runs"),
        orchestrator.record(signal("a", 2), id="2", queue="dead-runs"),
    )

    assert failed == []
    held = [event.held for event in orchestrator.world.load_history("a") if isinstance(event, SignalReceived)]
    assert held == [None, True]


def test_a_dead_timer_is_sent_on(orchestrator: Orchestrator) -> None:
    past = orchestrator.system.clock.now() - timedelta(days=1)
    fired = FactArrived(run_id="a", fact=TimerFired(timer_id="t1"))

    assert orchestrator(orchestrator.record(Delayed(due=past, message=fired), queue="dead-timers")) == []
    assert orchestrator.sent("runs") == [fired]


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_timer_that_scheduler_could_not_deliver_is_sent_on(orchestrator: Orchestrator, wrapped: bool) -> None:
    past = orchestrator.system.clock.now() - timedelta(days=1)
    fired = FactArrived(run_id="a", fact=TimerFired(timer_id="t1"))
    body = Delayed(due=past, message=fired).dump()
    if wrapped:  # what it keeps is the request that failed
        body = json.dumps({"QueueUrl": "https://sqs/timers", "MessageBody": body})

    assert orchestrator(orchestrator.record(body, queue="dead-timers")) == []
    assert orchestrator.sent("runs") == [fired]


def test_only_a_dead_letter_is_unwrapped(orchestrator: Orchestrator) -> None:
    wrapped = json.dumps({"MessageBody": signal("a", 1).dump()})
    assert orchestrator(orchestrator.record(wrapped, id="1")) == []
    assert [dead.body for dead in orchestrator.system.stack.messages("dead-runs")] == [wrapped]


def test_a_dead_step_has_failed_and_may_be_tried_again(orchestrator: Orchestrator) -> None:
    task = StepTask(run_id="a", step_id="s1", attempt=2, name="square", input={"number": 3})
    orchestrator.died(key_of_task(task), LIFE_RECEIVES - 1)

    assert orchestrator(orchestrator.record(task, queue="dead-steps")) == []
    (message,) = orchestrator.sent("runs")
    assert isinstance(message, FactArrived) and isinstance(message.fact, StepFailed)
    assert (message.fact.step_id, message.fact.attempt, message.fact.retryable) == ("s1", 2, True)
    assert message.fact.error.type == "worldflow.engine.errors:StepCrashedError"
    assert ledger.get_outcome(orchestrator.world, "a", "s1", 2) == StepOutcome(
        run_id="a", fact=message.fact, call=task.call
    )


@pytest.mark.parametrize(
    "fact",
    [
        StepCompleted(step_id="s1", attempt=2, result=9),
        StepFailed(step_id="s1", attempt=2, error=Failure(type="builtins:ValueError", message="no", args=["no"])),
    ],
    ids=["completed", "failed"],
)
def test_a_dead_step_that_had_ended_tells_how(orchestrator: Orchestrator, fact: Any) -> None:
    ledger.put_outcome(orchestrator.world, StepOutcome(run_id="a", fact=fact))
    task = StepTask(run_id="a", step_id="s1", attempt=2, name="square", input={"number": 3})
    orchestrator.died(key_of_task(task), LIFE_RECEIVES - 1)

    assert orchestrator(orchestrator.record(task, queue="dead-steps")) == []
    assert orchestrator.sent("runs") == [FactArrived(run_id="a", fact=fact)]


@pytest.mark.parametrize("queue", ["dead-runs", "dead-steps", "dead-timers"])
def test_a_dead_letter_that_cannot_be_read_stays_where_it_is(orchestrator: Orchestrator, queue: QueueName) -> None:
    assert orchestrator(orchestrator.record("hello", id="1", queue=queue)) == ["1"]


def test_a_step_that_no_function_has_begun_has_not_failed(aws: AWSSystem, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    starting.start(aws.world, "r", workflows.chain, {"length": 1})
    aws.poll("runs")
    for _ in range(45):
        for queue in ("runs", "dead-steps", "timers"):
            aws.poll(queue)  # type: ignore[arg-type]
        # The invocation is throttled: nobody deletes the message, and it comes again when its time is over.
        aws.stack.sqs.receive_message(QueueUrl=aws.stack.urls["steps"])
        aws.clock.forward(aws.clock.now() + timedelta(seconds=331))

    assert finish(aws, "r").status == "completed"
    assert [event.event_type for event in aws.world.load_history("r")].count("StepFailed") == 0


def _raise(*_: Any, **__: Any) -> None:
    raise WorldflowError("AWS is away")


def test_of_runs_that_died_together_another_is_first_each_time(orchestrator: Orchestrator) -> None:
    firsts = set()
    for receives in range(2, 12):
        groups = by_run(
            [
                Record(id, Poke(run_id=id, nonce="n"), receives, is_dead=False, receipt=id, sent_at=None)
                for id in ("killer", "neighbour", "other")
            ]
        )
        firsts.add(groups[0][0].id)

    assert firsts == {"killer", "neighbour", "other"}


def test_what_would_be_cut_off_is_not_begun(orchestrator: Orchestrator) -> None:
    class Context:
        def get_remaining_time_in_millis(self) -> int:
            return (TURN_MARGIN - 1) * 1_000

    record = orchestrator.record(Poke(run_id="r", nonce="n"), id="1")

    assert failures(orchestrator._handler(sqs_event(record), Context())) == ["1"]
