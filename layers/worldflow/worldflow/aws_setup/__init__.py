"""Creates Worldflow's tables, queues and other resources in an AWS account without deploying the template.

    python -m worldflow.aws_setup setup|status|teardown

or `setup_worldflow_infrastructure()`. It creates what the template does, except the functions and the API, with the
properties that the template defines.

Each resource lists its faults (it is missing, or has a wrong setting), each with a function that fixes it. `status`
prints them and `setup` fixes them, so a second setup finds nothing to do, and completes one that was interrupted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

try:
    import boto3
except ModuleNotFoundError:
    raise ModuleNotFoundError('worldflow.aws_setup needs boto3: pip install "worldflow[aws]"', name="boto3") from None

from worldflow.aws_setup.bucket import Bucket
from worldflow.aws_setup.definitions import definitions
from worldflow.aws_setup.parts import Fault, Part, Queue, Role, ScheduleGroup, Secret
from worldflow.aws_setup.table import Table
from worldflow.engine.errors import ConfigurationError
from worldflow.engine.queues import check_queue
from worldflow.settings import variable

__all__ = ["Fault", "Infrastructure", "Resources", "setup_worldflow_infrastructure"]

EVENTS_TABLE = "worldflow-events"
RUNS_TABLE = "worldflow-runs"
STEP_QUEUE = "worldflow-steps.fifo"

_DEAD_LETTER_QUEUES = {
    "RunDeadLetterQueue": "runs-dead-letters.fifo",
    "StepDeadLetterQueue": "steps-dead-letters.fifo",
    "TimerDeadLetterQueue": "timers-dead-letters",
}
_QUEUES = {"RunQueue": "runs.fifo", "StepQueue": "steps.fifo", "TimerQueue": "timers"}
"""The ids of the queues in the template, and the ends of their names here."""


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
    step_queues: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """The `WORLDFLOW_*` variables of an application or a function that uses these resources.

        Except `WORLDFLOW_WEBHOOK_URL`, where your application passes requests to `worldflow.runtime.webhooks.receive`.
        """
        lists = {"dead_letter_arns": ",".join(self.dead_letter_arns), "step_queues": ",".join(self.step_queues)}
        values = asdict(self) | lists
        return {variable(name): value for name, value in values.items() if name != "region" and value}


def setup_worldflow_infrastructure(
    *,
    region: str | None = None,
    events_table: str = EVENTS_TABLE,
    runs_table: str = RUNS_TABLE,
    step_queue: str = STEP_QUEUE,
    payload_bucket: str | None = None,
    step_queues: Sequence[str] = (),
    on_change: Callable[[str], object] = lambda change: None,
) -> Resources:
    """Creates Worldflow's resources if they are missing, and fixes wrong settings.

    region: default: `AWS_REGION` or boto3's default.
    step_queue: must end in `steps.fifo`. The other queues, the schedule group, its role and the secret are named after
        it: `x-steps.fifo` implies `x-runs.fifo` and `x-timers`.
    payload_bucket: default: named after the step queue, with the account and the region.
    step_queues: names of further step queues: with `["heavy"]`, `x-steps-heavy.fifo` too.
    on_change: called with a line of text after each change.
    Raises `ConfigurationError` for a resource that cannot be used or changed, and botocore's errors.
    """
    infrastructure = Infrastructure(
        region=region,
        events_table=events_table,
        runs_table=runs_table,
        step_queue=step_queue,
        payload_bucket=payload_bucket,
        step_queues=step_queues,
    )
    infrastructure.fix(on_change)
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
        step_queues: Sequence[str] = (),
    ) -> None:
        if not step_queue.endswith("steps.fifo"):
            raise ConfigurationError(
                f"the name of the step queue must end in steps.fifo, like {STEP_QUEUE}, not be {step_queue!r}"
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

        # A queue that refers to another comes after it.
        queues = {id: f"{stem}{end}" for id, end in (_DEAD_LETTER_QUEUES | _QUEUES).items()}
        self._step_queues = tuple(check_queue(name, "each name in step_queues") for name in step_queues)
        bucket = payload_bucket or f"{name.lower().replace('_', '-')}-payloads-{account}-{self.region}"
        self._arns = {id: arn("sqs", queue) for id, queue in queues.items()}
        arns = self._arns | {
            "SchedulerGroup": arn("scheduler", f"schedule-group/{name}"),
            "PayloadBucket": f"arn:{partition}:s3:::{bucket}",
        }
        names = queues | {"PayloadBucket": bucket, "AWS::AccountId": account}
        properties = definitions(names | {f"{id}.Arn": resource for id, resource in arns.items()})
        self._events = Table(dynamodb, events_table, properties["EventsTable"])
        self._runs = Table(dynamodb, runs_table, properties["RunsTable"])
        policy = properties["QueuePolicy"]["PolicyDocument"]
        self._queues = {id: Queue(sqs, queue, {**properties[id], "Policy": policy}) for id, queue in queues.items()}
        for step in self._step_queues:
            own = {**properties["StepQueue"], "Policy": policy}
            self._queues[f"StepQueue {step}"] = Queue(sqs, f"{stem}steps-{step}.fifo", own)
        self._group = ScheduleGroup(session.client("scheduler"), name)
        # An account has one set of roles for all regions, and each region has its own schedule group.
        role = f"{name}-scheduler-{self.region}"
        self._role = Role(session.client("iam"), role, properties["SchedulerRole"])
        policy = properties["PayloadBucketPolicy"]["PolicyDocument"]
        self._bucket = Bucket(session.client("s3"), bucket, account, {**properties["PayloadBucket"], "Policy": policy})
        self._secret = Secret(session.client("secretsmanager"), f"{name}-webhooks", properties["WebhookSecret"])
        others = (self._group, self._role, self._bucket, self._secret)
        self.parts: Sequence[Part] = (self._events, self._runs, *self._queues.values(), *others)

    def faults(self) -> Iterator[Fault]:
        """Missing resources and wrong settings."""
        for part in self.parts:
            yield from part.faults()

    def fix(self, on_change: Callable[[str], object]) -> int:
        """Fixes all faults. Returns the number of changes."""
        changes = 0
        for fault in self.faults():
            fault.fix()
            on_change(fault.fixed)
            changes += 1
        return changes

    def resources(self) -> Resources:
        """The resources, once they are there."""
        return Resources(
            region=self.region,
            events_table=self._events.name,
            runs_table=self._runs.name,
            run_queue_url=self._queues["RunQueue"].url(),
            step_queue_url=self._queues["StepQueue"].url(),
            timer_queue_url=self._queues["TimerQueue"].url(),
            timer_queue_arn=self._arns["TimerQueue"],
            timer_dead_letter_arn=self._arns["TimerDeadLetterQueue"],
            dead_letter_arns=tuple(self._arns[id] for id in _DEAD_LETTER_QUEUES),
            scheduler_group=self._group.name,
            scheduler_role_arn=self._role.arn(),
            payload_bucket=self._bucket.name,
            webhook_secret_arn=self._secret.arn(),
            step_queues=self._step_queues,
        )
