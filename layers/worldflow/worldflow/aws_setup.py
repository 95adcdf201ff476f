"""Worldflow's tables, queues and the rest in an AWS account, for those who do not deploy the template.

    python -m worldflow.aws_setup setup|status|teardown

or `setup_worldflow_infrastructure()`. What it makes equals what the template makes, but for the functions and the API.

Each resource knows its faults: what is missing of it or differs from what it should be, each with what mends it. Setting up
mends every fault as it is found, and the status lists them; so a second setup finds nothing to do, and one that was
interrupted is completed by the next.
"""

# Without `from __future__ import annotations`: Typer reads those of the commands, which name what only `cli` imports.

import json
import os
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Annotated, Any, Protocol

import boto3
from botocore.exceptions import ClientError

from worldflow.engine.errors import ConfigurationError

EVENTS_TABLE = "worldflow-events"
RUNS_TABLE = "worldflow-runs"
STEP_QUEUE = "worldflow-steps.fifo"

_LISTED = ["workflow_name", "status", "updated_at", "ended_at", "record_seq"]
"""What the indexes of runs hold beside their keys."""

_QUEUE = {
    "VisibilityTimeout": "90",  # the orchestrator's 60 s and 30 s
    "MessageRetentionPeriod": "345600",
    "SqsManagedSseEnabled": "true",
}
_FIFO = {
    "FifoQueue": "true",
    "ContentBasedDeduplication": "true",
    "DeduplicationScope": "messageGroup",
    "FifoThroughputLimit": "perMessageGroupId",
}
_STEPS = {"VisibilityTimeout": "330"}  # the step executor's 300 s and 30 s
_DEAD_LETTERS = {"MessageRetentionPeriod": "1209600"}
_MAX_RECEIVES = 5

_PATIENCE = 120
"""Seconds that a new table may take to offer its backups."""


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
    dead_letter_arns: tuple[str, ...]
    scheduler_group: str
    scheduler_role_arn: str
    payload_bucket: str

    def environment(self) -> dict[str, str]:
        """The `WORLDFLOW_*` variables of an application or a function that uses these resources."""
        values = asdict(self) | {"dead_letter_arns": ",".join(self.dead_letter_arns)}
        return {f"WORLDFLOW_{name.upper()}": value for name, value in values.items() if name != "region"}


def setup_worldflow_infrastructure(
    *,
    region: str | None = None,
    events_table: str = EVENTS_TABLE,
    runs_table: str = RUNS_TABLE,
    step_queue: str = STEP_QUEUE,
    payload_bucket: str | None = None,
    on_change: Callable[[str], object] = lambda change: None,
) -> Resources:
    """Makes what is missing of Worldflow's resources, and mends what differs. Takes about half a minute at first.

    region: boto3's default unless given.
    step_queue: ends in `steps.fifo`. The other queues, the schedule group and its role are named alike: `x-steps.fifo`
        goes with `x-runs.fifo` and `x-timers`.
    payload_bucket: named alike, with the account and the region, unless given.
    on_change: called with a line of text for each change.
    Raises `ConfigurationError` for names that cannot be used, and botocore's errors.
    """
    infrastructure = Infrastructure(region, events_table, runs_table, step_queue, payload_bucket)
    for fault in infrastructure.faults():
        fault.mend()
        on_change(str(fault))
    return infrastructure.resources()


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a resource, and what mends it."""

    part: str
    what: str
    mend: Callable[[], object]

    def __str__(self) -> str:
        return f"{self.part} {self.what}"


class _Part(Protocol):
    """One resource.

    `faults` goes on after a missing resource, with what else its making leaves to do, if it was made meanwhile.
    """

    def __str__(self) -> str: ...
    def exists(self) -> bool: ...
    def faults(self) -> Iterator[Fault]: ...
    def remove(self) -> None: ...


class Infrastructure:
    """The resources of some names, whether they exist or not."""

    def __init__(
        self, region: str | None, events_table: str, runs_table: str, step_queue: str, payload_bucket: str | None
    ) -> None:
        if not step_queue.endswith("steps.fifo"):
            raise ConfigurationError(
                f"the name of the step queue must end in steps.fifo, such as {STEP_QUEUE}: {step_queue!r} does not"
            )
        session = boto3.Session(region_name=region or os.environ.get("AWS_REGION"))
        dynamodb, sqs = session.client("dynamodb"), session.client("sqs")
        self.region = dynamodb.meta.region_name
        account = session.client("sts").get_caller_identity()["Account"]
        partition = session.get_partition_for_region(self.region)
        stem = step_queue.removesuffix("steps.fifo")
        name = stem.strip("-_") or "worldflow"

        def arn(service: str, resource: str, where: str = self.region) -> str:
            return f"arn:{partition}:{service}:{where}:{account}:{resource}"

        def queue(kind: str, attributes: Mapping[str, str]) -> tuple[_Queue, _Queue]:
            """A queue, and that of its dead letters."""
            suffix = ".fifo" if "FifoQueue" in attributes else ""
            dead = f"{stem}{kind}-dead-letters{suffix}"
            redrive = json.dumps({"deadLetterTargetArn": arn("sqs", dead), "maxReceiveCount": _MAX_RECEIVES})
            return (
                _Queue(sqs, f"{stem}{kind}{suffix}", {**attributes, "RedrivePolicy": redrive}),
                # The orchestrator receives all dead letters, hence its visibility timeout.
                _Queue(sqs, dead, {**attributes, **_QUEUE, **_DEAD_LETTERS}),
            )

        self._runs, dead_runs = queue("runs", _QUEUE | _FIFO)
        self._steps, dead_steps = queue("steps", _QUEUE | _FIFO | _STEPS)
        self._timers, dead_timers = queue("timers", _QUEUE)
        self._events_table, self._runs_table = events_table, runs_table
        self._timer_arn = arn("sqs", self._timers.name)
        self._dead_letter_arns = tuple(arn("sqs", dead.name) for dead in (dead_runs, dead_steps, dead_timers))
        self._group = name
        # Roles belong to all regions, and each region has its own.
        role = f"{name}-scheduler-{self.region}"
        self._role_arn = arn("iam", f"role/{role}", where="")
        self._bucket = payload_bucket or f"{name.lower().replace('_', '-')}-payloads-{account}-{self.region}"
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "scheduler.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {
                    "aws:SourceAccount": account,
                    "aws:SourceArn": arn("scheduler", f"schedule-group/{self._group}"),
                }
            },
        }
        permission = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": self._timer_arn}
        # What refers to another comes after it.
        self.parts: Sequence[_Part] = [
            _Table(dynamodb, events_table, {"run_id": "S", "seq": "N"}),
            _Table(
                dynamodb,
                runs_table,
                {"run_id": "S"},
                indexes={"by_time": ("shard", "created_at"), "by_status": ("status_shard", "created_at")},
                expiry="expires_at",
            ),
            *(dead_runs, dead_steps, dead_timers, self._runs, self._steps, self._timers),
            _ScheduleGroup(session.client("scheduler"), self._group),
            _Role(session.client("iam"), role, _policy(trust), _policy(permission)),
            _Bucket(session.client("s3"), self._bucket, f"arn:{partition}:s3:::{self._bucket}", account),
        ]

    def faults(self) -> Iterator[Fault]:
        """What is missing or differs. Whoever mends each fault before asking for the next has mended all."""
        for part in self.parts:
            yield from part.faults()

    def resources(self) -> Resources:
        """The resources, all of which exist."""
        return Resources(
            region=self.region,
            events_table=self._events_table,
            runs_table=self._runs_table,
            run_queue_url=self._runs.url(),
            step_queue_url=self._steps.url(),
            timer_queue_url=self._timers.url(),
            timer_queue_arn=self._timer_arn,
            dead_letter_arns=self._dead_letter_arns,
            scheduler_group=self._group,
            scheduler_role_arn=self._role_arn,
            payload_bucket=self._bucket,
        )


@dataclass(frozen=True)
class _Table:
    client: Any
    name: str
    keys: Mapping[str, str]
    indexes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    expiry: str | None = None

    def __str__(self) -> str:
        return f"table {self.name}"

    def exists(self) -> bool:
        return self._describe() is not None

    def faults(self) -> Iterator[Fault]:
        if not self.exists():
            yield Fault(str(self), "is missing", self._create)
        table = self._describe()
        if table is None:
            return
        if table["KeySchema"] != _key_schema(self.keys):
            yield Fault(str(self), "has other keys than it must have", partial(self._refuse, "its keys"))
            return
        if table.get("BillingModeSummary", {}).get("BillingMode") != "PAY_PER_REQUEST":
            yield Fault(str(self), "is not on demand", partial(self._update, BillingMode="PAY_PER_REQUEST"))
        indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}
        for name in self.indexes:
            if name not in indexes:
                yield Fault(str(self), f"has no index {name}", partial(self._add_index, name))
            elif not _covers(indexes[name], self._index(name)):
                yield Fault(str(self), f"has another index {name}", partial(self._refuse, f"index {name}"))
        if table.get("SSEDescription", {}).get("Status") not in ("ENABLED", "ENABLING", "UPDATING"):
            yield Fault(
                str(self), "is not encrypted by a KMS key", partial(self._update, SSESpecification={"Enabled": True})
            )
        backups = self.client.describe_continuous_backups(TableName=self.name)["ContinuousBackupsDescription"]
        if backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") != "ENABLED":
            yield Fault(str(self), "has no point-in-time recovery", self._enable_recovery)
        if self.expiry:
            expiry = self.client.describe_time_to_live(TableName=self.name)["TimeToLiveDescription"]
            is_on = expiry.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
            if not is_on or expiry.get("AttributeName") != self.expiry:
                yield Fault(str(self), f"does not expire items by {self.expiry}", self._enable_expiry)

    def remove(self) -> None:
        self.client.delete_table(TableName=self.name)
        self.client.get_waiter("table_not_exists").wait(
            TableName=self.name, WaiterConfig={"Delay": 2, "MaxAttempts": 90}
        )

    def _describe(self) -> dict[str, Any] | None:
        found = _find(self.client.describe_table, TableName=self.name)
        return found["Table"] if found else None

    def _index(self, name: str) -> dict[str, Any]:
        return {
            "IndexName": name,
            "KeySchema": _key_schema(self.indexes[name]),
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": _LISTED},
        }

    def _create(self) -> None:
        indexed = {key: "S" for keys in self.indexes.values() for key in keys}
        request: dict[str, Any] = {
            "TableName": self.name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": _attributes({**self.keys, **indexed}),
            "KeySchema": _key_schema(self.keys),
            "SSESpecification": {"Enabled": True},
        }
        if self.indexes:
            request["GlobalSecondaryIndexes"] = [self._index(name) for name in self.indexes]
        self.client.create_table(**request)
        self._settle()

    def _update(self, **change: Any) -> None:
        self._settle()
        self.client.update_table(TableName=self.name, **change)
        self._settle()

    def _add_index(self, name: str) -> None:
        table = self._describe() or {}
        known = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}
        attributes = _attributes(known | dict.fromkeys(self.indexes[name], "S"))
        updates = [{"Create": self._index(name)}]
        self._update(AttributeDefinitions=attributes, GlobalSecondaryIndexUpdates=updates)

    def _enable_recovery(self) -> None:
        self._settle()
        for attempt in range(_PATIENCE):
            try:
                self.client.update_continuous_backups(
                    TableName=self.name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
                )
                return
            except self.client.exceptions.ContinuousBackupsUnavailableException:
                # For some seconds after a table was made.
                if attempt == _PATIENCE - 1:
                    raise
                time.sleep(1)

    def _enable_expiry(self) -> None:
        self._settle()
        self.client.update_time_to_live(
            TableName=self.name, TimeToLiveSpecification={"AttributeName": self.expiry, "Enabled": True}
        )

    def _settle(self) -> None:
        """Waits until the table takes the next change. A new index on many items may take hours."""
        while True:
            table = self._describe() or {}
            indexes = table.get("GlobalSecondaryIndexes", [])
            if {table.get("TableStatus"), *(index["IndexStatus"] for index in indexes)} == {"ACTIVE"}:
                return
            time.sleep(1)

    def _refuse(self, what: str) -> None:
        raise ConfigurationError(f"{what} cannot be changed: delete {what} of {self} yourself, or choose another table")


@dataclass(frozen=True)
class _Queue:
    client: Any
    name: str
    attributes: Mapping[str, str]

    def __str__(self) -> str:
        return f"queue {self.name}"

    def exists(self) -> bool:
        return bool(self._find_url())

    def url(self) -> str:
        url: str = self.client.get_queue_url(QueueName=self.name)["QueueUrl"]
        return url

    def faults(self) -> Iterator[Fault]:
        url = self._find_url()
        if url is None:
            # With all its attributes, so that nothing is left to do.
            yield Fault(str(self), "is missing", self._create)
            return
        found = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        different = {name: value for name, value in self.attributes.items() if not _covers(found.get(name), value)}
        if different:
            what = ", ".join(
                f"{name} {found.get(name, 'unset')} instead of {value}" for name, value in different.items()
            )
            yield Fault(
                str(self),
                f"has {what}",
                partial(self.client.set_queue_attributes, QueueUrl=url, Attributes=different),
            )

    def remove(self) -> None:
        self.client.delete_queue(QueueUrl=self.url())

    def _find_url(self) -> str | None:
        found = _find(self.client.get_queue_url, QueueName=self.name)
        return found["QueueUrl"] if found else None

    def _create(self) -> None:
        self.client.create_queue(QueueName=self.name, Attributes=dict(self.attributes))


@dataclass(frozen=True)
class _ScheduleGroup:
    client: Any
    name: str

    def __str__(self) -> str:
        return f"schedule group {self.name}"

    def exists(self) -> bool:
        return _find(self.client.get_schedule_group, Name=self.name) is not None

    def faults(self) -> Iterator[Fault]:
        if not self.exists():
            yield Fault(str(self), "is missing", partial(self.client.create_schedule_group, Name=self.name))

    def remove(self) -> None:
        self.client.delete_schedule_group(Name=self.name)


@dataclass(frozen=True)
class _Role:
    """What schedules act as. It may do nothing but wake the timers."""

    client: Any
    name: str
    trust: str
    permissions: str

    def __str__(self) -> str:
        return f"role {self.name}"

    def exists(self) -> bool:
        return _find(self.client.get_role, RoleName=self.name) is not None

    def faults(self) -> Iterator[Fault]:
        role = _find(self.client.get_role, RoleName=self.name)
        if role is None:
            create = partial(self.client.create_role, RoleName=self.name, AssumeRolePolicyDocument=self.trust)
            yield Fault(str(self), "is missing", create)
        elif role["Role"]["AssumeRolePolicyDocument"] != json.loads(self.trust):
            update = partial(self.client.update_assume_role_policy, RoleName=self.name, PolicyDocument=self.trust)
            yield Fault(str(self), "trusts others than the schedule group", update)
        policy = {"RoleName": self.name, "PolicyName": "WakeTimers"}
        found = _find(self.client.get_role_policy, **policy)
        if found is None or found["PolicyDocument"] != json.loads(self.permissions):
            put = partial(self.client.put_role_policy, **policy, PolicyDocument=self.permissions)
            yield Fault(str(self), "may not wake the timers, or may more than that", put)

    def remove(self) -> None:
        for name in self.client.list_role_policies(RoleName=self.name)["PolicyNames"]:
            self.client.delete_role_policy(RoleName=self.name, PolicyName=name)
        self.client.delete_role(RoleName=self.name)


@dataclass(frozen=True)
class _Bucket:
    client: Any
    name: str
    arn: str
    account: str

    def __str__(self) -> str:
        return f"bucket {self.name}"

    @property
    def _mine(self) -> dict[str, str]:
        """The bucket, if it is this account's: anybody could have taken the name first."""
        return {"Bucket": self.name, "ExpectedBucketOwner": self.account}

    def exists(self) -> bool:
        try:
            return _find(self.client.head_bucket, **self._mine) is not None
        except ClientError as error:
            if error.response["Error"]["Code"] != "403":
                raise
            raise ConfigurationError(
                f"{self} is somebody else's, or you may not look at it: choose another with payload_bucket"
            ) from None

    def faults(self) -> Iterator[Fault]:
        if not self.exists():
            yield Fault(str(self), "is missing", self._create)
        if not self.exists():
            return
        for what, get, put, wanted in self._settings():
            if not _covers(_find(get, **self._mine), wanted[1] if isinstance(wanted[1], dict) else dict([wanted])):
                yield Fault(str(self), what, partial(put, **self._mine, **dict([wanted])))

    def remove(self) -> None:
        for page in self.client.get_paginator("list_object_versions").paginate(**self._mine):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if found:
                objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
                answer = self.client.delete_objects(**self._mine, Delete={"Objects": objects, "Quiet": True})
                if errors := answer.get("Errors"):
                    raise ConfigurationError(f"{self}: {errors[0]['Key']} was not deleted: {errors[0]['Message']}")
        self.client.delete_bucket(**self._mine)
