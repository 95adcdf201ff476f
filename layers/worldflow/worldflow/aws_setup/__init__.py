"""Worldflow's tables, queues and the rest in an AWS account, for those who do not deploy the template.

    python -m worldflow.aws_setup setup|status|teardown

or `setup_worldflow_infrastructure()`. What it makes equals what the template makes, but for the functions and the API.

Each resource knows its faults: what is missing or other than it should be, each with what mends it. The status lists
them, and setting up mends them; so a second setup finds nothing to do, and completes one that was interrupted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

try:
    import boto3
except ModuleNotFoundError:
    raise ModuleNotFoundError('worldflow.aws_setup needs boto3: pip install "worldflow[aws]"', name="boto3") from None

from worldflow.aws_setup.bucket import Bucket
from worldflow.aws_setup.parts import Fault, Part, Queue, Role, ScheduleGroup, Secret, document
from worldflow.aws_setup.table import Table
from worldflow.engine.errors import ConfigurationError
from worldflow.serving.outages import LIFE_RECEIVES, TURN_RECEIVES
from worldflow.settings import variable
from worldflow.worlds.aws.items import INDEXES, LISTED

__all__ = ["Fault", "Infrastructure", "Resources", "setup_worldflow_infrastructure"]

EVENTS_TABLE = "worldflow-events"
RUNS_TABLE = "worldflow-runs"
STEP_QUEUE = "worldflow-steps.fifo"

_ONLY_OVER_TLS = {
    "Sid": "OnlyOverTLS",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Resource": "*",  # the queue that has this policy
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
_STANDARD = {
    "VisibilityTimeout": "90",  # the orchestrator's 60 s and 30 s
    "MessageRetentionPeriod": "345600",  # four days: a dead letter of a standard queue keeps its first timestamp
    "SqsManagedSseEnabled": "true",
    "Policy": json.dumps(document(_ONLY_OVER_TLS)),
}
_FIFO = {
    **_STANDARD,
    "MessageRetentionPeriod": "1209600",  # fourteen days, which a dead letter has anew
    "FifoQueue": "true",
    "ContentBasedDeduplication": "true",
    "DeduplicationScope": "messageGroup",
    "FifoThroughputLimit": "perMessageGroupId",
}
_STEPS = {**_FIFO, "VisibilityTimeout": "330"}  # the step executor's 300 s and 30 s
# Received by the orchestrator, those of steps too.
_DEAD = {"VisibilityTimeout": "90", "MessageRetentionPeriod": "1209600"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What was set up, by name, address or ARN."""

    region: str
    events_table: str
    runs_table: str
    run_queue_url: str
    step_queue_url: str
    timer_queue_url: str
    timer_queue_arn: str
    timer_dead_letter_arn: str
    dead_letter_arns: tuple[str, ...]
    scheduler_group: str
    scheduler_role_arn: str
    payload_bucket: str
    webhook_secret_arn: str

    def environment(self) -> dict[str, str]:
        """The `WORLDFLOW_*` variables of an application or a function that uses these resources.

        But for `WORLDFLOW_WEBHOOK_URL`, which is where somebody hands requests to `worldflow.runtime.webhooks.receive`.
        """
        values = asdict(self) | {"dead_letter_arns": ",".join(self.dead_letter_arns)}
        return {variable(name): value for name, value in values.items() if name != "region"}


def setup_worldflow_infrastructure(
    *,
    region: str | None = None,
    events_table: str = EVENTS_TABLE,
    runs_table: str = RUNS_TABLE,
    step_queue: str = STEP_QUEUE,
    payload_bucket: str | None = None,
    on_change: Callable[[str], object] = lambda change: None,
) -> Resources:
    """Makes what is missing of Worldflow's resources, and mends what is other than it should be.

    region: `AWS_REGION` or boto3's default, unless given.
    step_queue: ends in `steps.fifo`. The other queues, the schedule group, its role and the secret are named alike:
        `x-steps.fifo` goes with `x-runs.fifo` and `x-timers`.
    payload_bucket: named alike, with the account and the region, unless given.
    on_change: called with a line of text after each change.
    Raises `ConfigurationError` for what cannot be used or changed, and botocore's errors.
    """
    infrastructure = Infrastructure(
        region=region,
        events_table=events_table,
        runs_table=runs_table,
        step_queue=step_queue,
        payload_bucket=payload_bucket,
    )
    infrastructure.mend(on_change)
    return infrastructure.resources()


class Infrastructure:
    """The resources of these names, whether they are there or not."""

    def __init__(
        self,
        *,
        region: str | None = None,
        events_table: str = EVENTS_TABLE,
        runs_table: str = RUNS_TABLE,
        step_queue: str = STEP_QUEUE,
        payload_bucket: str | None = None,
    ) -> None:
        if not step_queue.endswith("steps.fifo"):
            raise ConfigurationError(
                f"the step queue's name must end in steps.fifo, as {STEP_QUEUE} does: {step_queue!r}"
            )
        session = boto3.Session(region_name=region or os.environ.get("AWS_REGION"))
        dynamodb: Any = session.client("dynamodb")
        sqs: Any = session.client("sqs")
        self.region: str = dynamodb.meta.region_name
        account: str = session.client("sts").get_caller_identity()["Account"]
        partition = session.get_partition_for_region(self.region)
        stem = step_queue.removesuffix("steps.fifo")
        name = stem.strip("-_") or "worldflow"

        def arn(service: str, resource: str) -> str:
            return f"arn:{partition}:{service}:{self.region}:{account}:{resource}"

        def queue(kind: str, attributes: Mapping[str, str], receives: int = LIFE_RECEIVES) -> tuple[Queue, Queue]:
            """A queue, and that of its dead letters."""
            suffix = ".fifo" if "FifoQueue" in attributes else ""
            dead = f"{stem}{kind}-dead-letters{suffix}"
            redrive = json.dumps({"deadLetterTargetArn": arn("sqs", dead), "maxReceiveCount": receives})
            return (
                Queue(sqs, f"{stem}{kind}{suffix}", {**attributes, "RedrivePolicy": redrive}),
                Queue(sqs, dead, {**attributes, **_DEAD}),
            )

        self._events = Table(dynamodb, events_table, {"run_id": "S", "seq": "N"})
        self._runs = Table(
            dynamodb,
            runs_table,
            {"run_id": "S"},
            indexes=INDEXES,
            listed=LISTED,
            expiry="expires_at",
        )
        self._run_queue, dead_runs = queue("runs", _FIFO, TURN_RECEIVES)
        self._step_queue, dead_steps = queue("steps", _STEPS)
        self._timer_queue, dead_timers = queue("timers", _STANDARD)
        self._timer_queue_arn = arn("sqs", self._timer_queue.name)
        self._timer_dead_letter_arn = arn("sqs", dead_timers.name)
        dead_letters = (dead_runs, dead_steps, dead_timers)
        self._dead_letter_arns = tuple(arn("sqs", dead.name) for dead in dead_letters)
        self._group = ScheduleGroup(session.client("scheduler"), name)
        self._role = Role(
            session.client("iam"),
            # An account has one set of roles for all regions, and each region has its own schedule group.
            f"{name}-scheduler-{self.region}",
            trust={
                "Effect": "Allow",
                "Principal": {"Service": "scheduler.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {
                        "aws:SourceAccount": account,
                        "aws:SourceArn": arn("scheduler", f"schedule-group/{name}"),
                    }
                },
            },
            policy_name="WakeTimers",
            permission={
                "Sid": "Send",
                "Effect": "Allow",
                "Action": "sqs:SendMessage",
                "Resource": [self._timer_queue_arn, self._timer_dead_letter_arn],
            },
        )
        self._bucket = Bucket(
            session.client("s3"),
            payload_bucket or f"{name.lower().replace('_', '-')}-payloads-{account}-{self.region}",
            partition,
            account,
        )
        self._secret = Secret(session.client("secretsmanager"), f"{name}-webhooks", "Signs the URLs of webhooks.")
        # What refers to another comes after it.
        queues = (*dead_letters, self._run_queue, self._step_queue, self._timer_queue)
        others = (self._group, self._role, self._bucket, self._secret)
        self.parts: Sequence[Part] = (self._events, self._runs, *queues, *others)

    def faults(self) -> Iterator[Fault]:
        """What is missing or other than it should be."""
        for part in self.parts:
            yield from part.faults()

    def mend(self, on_change: Callable[[str], object]) -> int:
        """Makes all as it should be. Returns the number of changes."""
        changes = 0
        for fault in self.faults():
            fault.mend()
            on_change(fault.mended)
            changes += 1
        return changes

    def resources(self) -> Resources:
        """The resources, once they are there."""
        return Resources(
            region=self.region,
            events_table=self._events.name,
            runs_table=self._runs.name,
            run_queue_url=self._run_queue.url(),
            step_queue_url=self._step_queue.url(),
            timer_queue_url=self._timer_queue.url(),
            timer_queue_arn=self._timer_queue_arn,
            timer_dead_letter_arn=self._timer_dead_letter_arn,
            dead_letter_arns=self._dead_letter_arns,
            scheduler_group=self._group.name,
            scheduler_role_arn=self._role.arn(),
            payload_bucket=self._bucket.name,
            webhook_secret_arn=self._secret.arn(),
        )
