"""An AWS account in this process (moto) with one deployment of Worldflow in it."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from typing import Any, Literal

import boto3
import botocore.session
import moto.core.responses
import moto.core.utils
import moto.sqs.models
import pytest
from botocore.awsrequest import AWSRequest
from botocore.crt.auth import CrtSigV4Auth
from botocore.loaders import create_loader
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.models import RESPONSES_METHODS
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.s3.models import s3_backends
from moto.scheduler.models import scheduler_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sqs.models import sqs_backends

from worldflow.aws_setup import setup_worldflow_infrastructure
from worldflow.settings import Settings

REGION = "eu-west-1"
MODULES = "workflows,tests.support.workflows"
WEBHOOK_URL = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/webhooks"

QueueName = Literal["runs", "steps", "timers", "dead-runs", "dead-steps", "dead-timers"]


class Stack:
    """The deployment's resources, to look into and to empty."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        """What the clients of `session` have asked AWS for, such as `dynamodb.PutItem`. The tests themselves ask with
        others.
        """
        self.session = boto3.Session(region_name=REGION)
        self.session.events.register("request-created", self._count)
        self.resources = setup_worldflow_infrastructure(region=REGION)
        self.environment = {
            **self.resources.environment(),
            "WORLDFLOW_WEBHOOK_URL": WEBHOOK_URL,
            "WORLDFLOW_WORKFLOWS": MODULES,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }
        self.settings = Settings.from_environment(self.environment)
        own = boto3.Session(region_name=REGION)
        self.dynamodb, self.sqs, self.s3, self.scheduler = (
            own.client(service) for service in ("dynamodb", "sqs", "s3", "scheduler")
        )
        # moto reads no conditions, and would refuse everything for want of TLS.
        self.s3.delete_bucket_policy(Bucket=self.resources.payload_bucket)
        dead = self.resources.dead_letter_arns
        self.arns: dict[QueueName, str] = {
            "runs": self._arn(self.resources.run_queue_url),
            "steps": self._arn(self.resources.step_queue_url),
            "timers": self.resources.timer_queue_arn,
            "dead-runs": dead[0],
            "dead-steps": dead[1],
            "dead-timers": dead[2],
        }
        self.urls = {
            name: self.sqs.get_queue_url(QueueName=arn.split(":")[-1])["QueueUrl"] for name, arn in self.arns.items()
        }

    def _count(self, event_name: str, **_: Any) -> None:
        self.requests.append(event_name.removeprefix("request-created."))

    def _arn(self, url: str) -> str:
        return f"arn:aws:sqs:{REGION}:{DEFAULT_ACCOUNT_ID}:{url.rsplit('/', 1)[1]}"

    # --- to look into ---

    def items(self, table: Literal["events", "runs"]) -> list[dict[str, Any]]:
        """The table's items in DynamoDB's JSON."""
        name = self.resources.events_table if table == "events" else self.resources.runs_table
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=name)
        return [item for page in pages for item in page["Items"]]

    def messages(self, queue: QueueName) -> list[Any]:
        """Everything in a queue, also what is delayed or in flight: moto's own objects."""
        return list(self._queue(queue)._messages)

    def objects(self) -> list[str]:
        """The keys of the payload bucket."""
        return list(self._bucket().keys.keys())

    def schedules(self) -> list[dict[str, Any]]:
        group = self.resources.scheduler_group
        names = list(self._schedule_group().schedules)
        return [self.scheduler.get_schedule(GroupName=group, Name=name) for name in names]

    def delete_schedule(self, name: str) -> None:
        self.scheduler.delete_schedule(GroupName=self.resources.scheduler_group, Name=name)

    def is_untouched(self) -> bool:
        """Whether nothing is stored and nothing sent."""
        queued = [message for queue in self.arns for message in self.messages(queue)]
        return not (queued or self.items("events") or self.items("runs") or self.objects() or self.schedules())

    # --- what Lambda does with queues; past boto3, which takes most of a test's time ---

    def receive(self, queue: QueueName, size: int) -> list[Any]:
        """The messages of one receipt: moto's own objects. They are in flight until they are deleted or given back."""
        timeout = int(self._queue(queue).visibility_timeout)
        # moto takes a group for in flight until it has come upon the last of its messages, which would come first.
        pending = self._queue(queue).pending_messages
        pending.difference_update([message for message in pending if message.visible])
        received: list[Any] = self._sqs().receive_message(self._name(queue), size, 0, timeout)
        return received

    def delete(self, queue: QueueName, handle: str) -> None:
        self._sqs().delete_message(self._name(queue), handle)

    def move(self, queue: QueueName, other: QueueName) -> None:
        """All messages of a queue to another, as a queue does with what was received too often."""
        for message in self.messages(queue):
            self._queue(other).add_message(message)
        self.purge(queue)

    def give_back(self, queue: QueueName, handle: str) -> None:
        self._sqs().change_message_visibility(self._name(queue), handle, 0)

    # --- to restore ---

    def copy(self, table: Literal["events", "runs"]) -> Any:
        """What a table has now, to be put back with `put_back`."""
        return copy.deepcopy(self._table(table).items)

    def put_back(self, table: Literal["events", "runs"], copied: Any) -> None:
        self._table(table).items = copy.deepcopy(copied)

    def purge_all(self) -> None:
        for queue in self.arns:
            self.purge(queue)

    def _table(self, table: Literal["events", "runs"]) -> Any:
        name = self.resources.events_table if table == "events" else self.resources.runs_table
        return dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[name]

    # --- to use again ---

    def exists(self) -> bool:
        # Other tests have tables of these names, too; the ARN of a secret is its own.
        secrets = secretsmanager_backends[DEFAULT_ACCOUNT_ID][REGION].secrets.values()
        return self.resources.runs_table in dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables and any(
            secret.arn == self.resources.webhook_secret_arn for secret in secrets
        )

    def empty(self) -> None:
        """Removes all that the last test left, without waiting for it to be asked for."""
        for table in (self.resources.events_table, self.resources.runs_table):
            dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[table].items.clear()
        for queue in self.arns:
            self.purge(queue)
        self._schedule_group().schedules.clear()
        self._bucket().keys.clear()
        self.requests.clear()

    def purge(self, queue: QueueName) -> None:
        """As SQS purges a queue, which it does once a minute at most."""
        purged = self._queue(queue)
        purged._messages.clear()
        purged._pending_messages.clear()
        purged.deleted_messages.clear()

    def _queue(self, queue: QueueName) -> Any:
        return self._sqs().queues[self._name(queue)]

    def _sqs(self) -> Any:
        return sqs_backends[DEFAULT_ACCOUNT_ID][REGION]

    def _name(self, queue: QueueName) -> str:
        return self.arns[queue].split(":")[-1]

    def _schedule_group(self) -> Any:
        return scheduler_backends[DEFAULT_ACCOUNT_ID][REGION].schedule_groups[self.resources.scheduler_group]

    def _bucket(self) -> Any:
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[self.resources.payload_bucket]


# Nobody asks AWS through `requests` here. For those who do, moto prepares 1,288 answers each time that it starts, which
# takes longer than most tests, and forgets none of them: a process that runs all tests would grow to a gigabyte.
RESPONSES_METHODS.clear()

# Each session would read the descriptions of its services anew: a third of a second for the clients of one cold start.
botocore.session.create_loader = functools.cache(create_loader)

# moto looks through the members of a service's class on each request, and spells the same few names anew, at a queue
# all of its attributes': a third of its time.
moto.core.responses.method_names_from_class = functools.cache(moto.core.responses.method_names_from_class)
for _module in (moto.core.responses, moto.sqs.models):
    _module.camelcase_to_underscores = functools.cache(moto.core.utils.camelcase_to_underscores)  # type: ignore[attr-defined]


def _utcnow() -> datetime:
    from tests.support import clock  # the globals of this code are moto's

    return clock.now().replace(tzinfo=None)


# moto's modules import this function by its name: the function itself becomes another.
moto.core.utils.utcnow.__code__ = _utcnow.__code__

_mock: Any = mock_aws()
_moto_put_item = DynamoDBBackend.put_item
_one_at_a_time = Lock()


def _put_item(*args: Any, **kwargs: Any) -> Any:
    # DynamoDB looks and writes in one go. moto lets another thread come between.
    with _one_at_a_time:
        return _moto_put_item(*args, **kwargs)


_sign = CrtSigV4Auth.add_auth


def _name_signer(auth: CrtSigV4Auth, request: AWSRequest) -> None:
    # What moto reads of a signature: whose it is, and for which region. The real one is a seventh of a request's time.
    if auth._service_name == "s3":  # which prepares the body meanwhile
        _sign(auth, request)
        return
    scope = f"{auth.credentials.access_key}/20260311/{auth._region_name}/{auth._service_name}/aws4_request"
    request.headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


_stack: Stack | None = None


@contextmanager
def deployed() -> Iterator[Stack]:
    """A deployment with nothing in it: made once a process, emptied each time. AWS is only mocked meanwhile."""
    global _stack
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
            environment.delenv(name, raising=False)
        _mock.start(reset=False)
        environment.setattr(DynamoDBBackend, "put_item", _put_item)
        environment.setattr(CrtSigV4Auth, "add_auth", _name_signer)
        try:
            if _stack is None or not _stack.exists():
                _stack = Stack()
            _stack.empty()
            for name, value in _stack.environment.items():
                environment.setenv(name, value)
            yield _stack
        finally:
            _mock.stop(remove_data=False)
