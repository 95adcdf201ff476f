"""Queues: dead letters and their consumers, and what SQS and Lambda count."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from worldflow.devtools.verify.failures import Failed, Undecided
from worldflow.devtools.verify.outcome import check
from worldflow.devtools.verify.target import Target
from worldflow.engine.history import SignalReceived
from worldflow.serving.outages import has_died, key_of_task
from worldflow.worlds import ledger
from worldflow.worlds.messages import Delayed, FactArrived, StepTask

POLLERS = 5
"""What the price of an idle stack assumes for each queue."""

EMULATED = "the local AWS has its own counters"


@check(
    "Dead letters of runs",
    statements=("OrchestratorRole.AbandonSteps",),
    behaviour="Lambda receives from RunDeadLetterQueue",
    look=("Orchestrator",),
)
def dead_run(target: Target) -> str:
    """The orchestrator receives a dead message of a run, and the run continues."""
    run_id = target.start("verify_signal")
    target.waits(run_id, "RunStarted")
    message = _signal(run_id, "dead")
    target.client("sqs").send_message(
        QueueUrl=target.outputs["RunDeadLetterQueueUrl"],
        MessageBody=message.dump(),
        MessageGroupId=message.group,
        MessageDeduplicationId=uuid.uuid4().hex,
    )
    target.ended(run_id)
    return "a dead signal reached its run"


@check(
    "Dead letters of steps",
    statements=("OrchestratorRole.Runs",),
    behaviour="Lambda receives from StepDeadLetterQueue",
    look=("Orchestrator",),
)
def dead_step(target: Target) -> str:
    """The orchestrator receives the dead task of a step, and the step fails. (The deaths of its function are noted
    here.)
    """
    run_id = target.start("verify_slow")
    target.until(
        lambda: ledger.last_beat(target.world, run_id, "s1", 1), otherwise=f"the step of {run_id} has no heartbeat"
    )
    task = StepTask(run_id=run_id, step_id="s1", name="verify_slow_step")
    while not has_died(target.world, task):
        target.world.deaths.begin(key_of_task(task))
    target.client("sqs").send_message(
        QueueUrl=target.outputs["StepDeadLetterQueueUrl"],
        MessageBody=task.dump(),
        MessageGroupId=task.group,
        MessageDeduplicationId=uuid.uuid4().hex,
    )
    target.ended(run_id, "failed")
    return "a dead task failed its step"


@check(
    "Dead letters of timers",
    statements=("OrchestratorRole.Send",),
    behaviour="Lambda receives from TimerDeadLetterQueue",
    look=("Orchestrator",),
)
def dead_timer(target: Target) -> str:
    """The orchestrator receives a dead timer and forwards it."""
    run_id = target.start("verify_signal")
    message = Delayed(due=datetime.now(UTC), message=_signal(run_id, "dead timer"))
    target.client("sqs").send_message(QueueUrl=target.outputs["TimerDeadLetterQueueUrl"], MessageBody=message.dump())
    target.ended(run_id)
    return "a dead timer reached its run"


@check(
    "Redrive",
    behaviour="your credentials: sqs:ReceiveMessage, SendMessage, DeleteMessage",
    look=("Orchestrator",),
)
def redrive(target: Target) -> str:
    """What `python -m worldflow redrive` does puts a dead letter back, and its run receives it. Meanwhile the
    orchestrator's event source mapping of dead letters is disabled.
    """
    run_id = target.start("verify_signal")
    target.waits(run_id, "RunStarted")
    with _nobody_receives_dead_runs(target):
        message = _signal(run_id, "put back")
        target.client("sqs").send_message(
            QueueUrl=target.outputs["RunDeadLetterQueueUrl"],
            MessageBody=message.dump(),
            MessageGroupId=message.group,
            MessageDeduplicationId=uuid.uuid4().hex,
        )

        def moved() -> int | None:
            return target.world.redrive().moved or None

        count = target.until(moved, 60, "redrive finds no dead letter")
        if target.ended(run_id)["result"] != "put back":
            raise Failed("the run received a different value")
    return f"{count} moved back and received"


@contextmanager
def _nobody_receives_dead_runs(target: Target) -> Iterator[None]:
    lambdas = target.client("lambda")
    queue = target.outputs["RunDeadLetterQueueUrl"].rpartition("/")[2]
    mappings = target.event_sources("Orchestrator")
    (mapping,) = [one["UUID"] for one in mappings if one["EventSourceArn"].endswith(f":{queue}")]

    def switch(on: bool) -> None:
        state = "Enabled" if on else "Disabled"

        def switched() -> bool | None:
            with suppress(lambdas.exceptions.ResourceInUseException):  # it is on its way to another state
                lambdas.update_event_source_mapping(UUID=mapping, Enabled=on)
            return lambdas.get_event_source_mapping(UUID=mapping)["State"] == state or None

        target.until(switched, 180, f"the event source of {queue} is not {state}")

    try:
        switch(False)
        yield
    finally:
        switch(True)


def _signal(run_id: str, value: str) -> FactArrived:
    return FactArrived(run_id=run_id, fact=SignalReceived(name="verify", value=value, signal_id=uuid.uuid4().hex))


@check(
    "Receive counts of dead letters",
    behaviour="SQS: ApproximateReceiveCount in a FIFO dead-letter queue",
    only_on_aws=EMULATED,
)
def receive_counts(target: Target) -> str:
    """Tells whether a message that died after two receives has its third receive in the dead-letter queue, or its
    first. Either passes: deaths of functions are noted, and receives do not count.
    """
    with _two_queues(target) as (queue, dead):
        sqs = target.client("sqs")
        sqs.send_message(QueueUrl=queue, MessageBody="verify", MessageGroupId="1")
        for _ in range(2):
            target.until(lambda: _receive(target, queue), 20, "the message is not received")
        count = target.until(
            lambda: _receive(target, dead) or (_receive(target, queue) and None), 30, "it did not become a dead letter"
        )
    return f"receive number {count} in the dead-letter queue, after two in the queue"


@check(
    "Age of a message that is never deleted",
    behaviour="CloudWatch: ApproximateAgeOfOldestMessage of a FIFO queue",
    only_on_aws="the local AWS has no such metric",
)
def poison_age(target: Target) -> Generator[None, None, str]:
    """Tells whether a message that was received more than three times still counts in the age of its queue, and so
    whether the alarm on the run queue's age sees a run whose turns keep dying. Either answer passes.
    """
    if target.is_local:
        raise Undecided("the local AWS has no such metric")
    with _two_queues(target, receives=1_000) as (queue, _):
        sqs, began = target.client("sqs"), datetime.now(UTC)
        sqs.send_message(QueueUrl=queue, MessageBody="verify", MessageGroupId="1")
        for _ in range(4):
            target.until(lambda: _receive(target, queue), 20, "the message is not received")
        yield
        while datetime.now(UTC) - began < timedelta(minutes=8):
            _receive(target, queue)
            time.sleep(15)
        ages = _metric(target, queue, "ApproximateAgeOfOldestMessage", "Maximum", began + timedelta(minutes=2))
    if not ages:
        raise Undecided("CloudWatch has no age of the queue yet")
    counted = max(ages) > 60
    return f"it {'counts' if counted else 'does not count'}: the oldest message is {max(ages):.0f} s old, in CloudWatch"


@check(
    "Pollers of an idle queue",
    behaviour="Lambda: pollers of a FIFO event source",
    only_on_aws="the local AWS has no pollers",
)
def pollers(target: Target) -> Generator[None, None, str]:
    """How many pollers an idle FIFO queue has, each with three requests a minute. They are most of an idle stack's
    price.
    """
    if target.is_local:
        raise Undecided("the local AWS has no pollers")
    yield
    queue = target.outputs["StepDeadLetterQueueUrl"]
    asked = _metric(target, queue, "NumberOfEmptyReceives", "Sum", datetime.now(UTC) - timedelta(minutes=20))[1:-1]
    if len(asked) < 3:
        raise Undecided("CloudWatch has fewer than three full minutes: run it again later, with KEEP=yes and DEPLOY=no")
    count = sum(asked) / len(asked) / 3
    if count > POLLERS + 0.5:
        raise Failed(f"{count:.1f} pollers; the documented price of an idle stack assumes {POLLERS}")
    return f"{count:.1f} pollers, {sum(asked) / len(asked):.0f} requests a minute"


def _receive(target: Target, queue: str) -> int | None:
    """Receives a message and returns its receive count, or `None` if there is no message."""
    messages: list[dict[str, Any]] = (
        target.client("sqs")
        .receive_message(
            QueueUrl=queue,
            VisibilityTimeout=0,
            WaitTimeSeconds=1,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        .get("Messages", [])
    )
    return int(messages[0]["Attributes"]["ApproximateReceiveCount"]) if messages else None


@contextmanager
def _two_queues(target: Target, receives: int = 2) -> Iterator[tuple[str, str]]:
    """A temporary FIFO queue and its dead-letter queue."""
    sqs, name = target.client("sqs"), f"{target.prefix}-{uuid.uuid4().hex[:6]}"
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    urls: list[str] = []
    try:
        urls.append(sqs.create_queue(QueueName=f"{name}-dead.fifo", Attributes=attributes)["QueueUrl"])
        arn = sqs.get_queue_attributes(QueueUrl=urls[0], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": receives})
        urls.append(
            sqs.create_queue(QueueName=f"{name}.fifo", Attributes={**attributes, "RedrivePolicy": policy})["QueueUrl"]
        )
        yield urls[1], urls[0]
    finally:
        for url in urls:
            with suppress(ClientError):
                sqs.delete_queue(QueueUrl=url)


def _metric(target: Target, queue: str, name: str, statistic: str, since: datetime) -> list[float]:
    answer = target.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName=name,
        Dimensions=[{"Name": "QueueName", "Value": queue.rpartition("/")[2]}],
        StartTime=since,
        EndTime=datetime.now(UTC),
        Period=60,
        Statistics=[statistic],
    )
    return [point[statistic] for point in sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])]
