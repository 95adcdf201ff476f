"""The kinds of resources that Worldflow needs, but for tables and buckets: how each is checked, created and fixed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

from botocore.exceptions import ClientError

from worldflow.aws_setup.definitions import Properties

_NOT_THERE = {
    "ResourceNotFoundException",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "NoSuchEntity",
    "404",
    "NoSuchBucketPolicy",
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "OwnershipControlsNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a resource, and how to fix it."""

    part: str
    what: str
    fix: Callable[[], object]

    def __str__(self) -> str:
        return f"{self.part}: {self.what}"

    @property
    def fixed(self) -> str:
        """The text for a fault that was fixed."""
        return f"{self.part}: created" if self.what == "missing" else f"{self.part}: fixed (was: {self.what})"


class Part(Protocol):
    """A resource. Its text says what it is, and its name."""

    def exists(self) -> bool: ...

    def faults(self) -> Iterator[Fault]:
        """What is missing or other than it should be. Making a missing resource leaves no fault."""

    def remove(self) -> None:
        """Deletes it, with all that it holds."""


@dataclass(frozen=True)
class Queue:
    """A queue of SQS. `properties` are those of AWS::SQS::Queue, and as `Policy` the document of its policy."""

    client: Any
    name: str
    properties: Properties

    def __str__(self) -> str:
        return f"queue {self.name}"

    def url(self) -> str:
        url: str = self.client.get_queue_url(QueueName=self.name)["QueueUrl"]
        return url

    def exists(self) -> bool:
        return find(self.client.get_queue_url, QueueName=self.name) is not None

    def faults(self) -> Iterator[Fault]:
        if not self.exists():
            create = partial(self.client.create_queue, QueueName=self.name, Attributes=self._attributes())
            yield Fault(str(self), "missing", create)
            return
        url = self.url()
        found = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        attributes = self._attributes()
        # All that can be set: whether a queue is FIFO cannot.
        settable = {name: value for name, value in attributes.items() if name != "FifoQueue"}
        fix = partial(self.client.set_queue_attributes, QueueUrl=url, Attributes=settable)
        for name, value in attributes.items():
            if not covers(found.get(name), value):
                yield Fault(str(self), f"{name} {found.get(name, 'unset')} instead of {value}", fix)

    def remove(self) -> None:
        self.client.delete_queue(QueueUrl=self.url())

    def _attributes(self) -> dict[str, str]:
        """The properties as SQS's API has them: all text."""
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in self.properties.items()}


@dataclass(frozen=True)
class ScheduleGroup:
    """Where schedules are."""

    client: Any
    name: str

    def __str__(self) -> str:
        return f"schedule group {self.name}"

    def exists(self) -> bool:
        return find(self.client.get_schedule_group, Name=self.name) is not None

    def faults(self) -> Iterator[Fault]:
        if not self.exists():
            yield Fault(str(self), "missing", partial(self.client.create_schedule_group, Name=self.name))

    def remove(self) -> None:
        self.client.delete_schedule_group(Name=self.name)


@dataclass(frozen=True)
class Role:
    """A role of IAM with one policy. `properties` are those of AWS::IAM::Role."""

    client: Any
    name: str
    properties: Properties

    def __str__(self) -> str:
        return f"role {self.name}"

    def arn(self) -> str:
        arn: str = self.client.get_role(RoleName=self.name)["Role"]["Arn"]
        return arn

    def exists(self) -> bool:
        return find(self.client.get_role, RoleName=self.name) is not None

    def faults(self) -> Iterator[Fault]:
        answer = find(self.client.get_role, RoleName=self.name)
        if answer is None:
            yield Fault(str(self), "missing", self._create)
            return
        if answer["Role"]["AssumeRolePolicyDocument"] != self.properties["AssumeRolePolicyDocument"]:
            yield Fault(str(self), "other trust", self._set_trust)
        policy = find(self.client.get_role_policy, RoleName=self.name, PolicyName=self._policy["PolicyName"])
        if policy is None or policy["PolicyDocument"] != self._policy["PolicyDocument"]:
            yield Fault(str(self), "other permissions", self._set_permission)

    def remove(self) -> None:
        for name in self.client.list_role_policies(RoleName=self.name)["PolicyNames"]:
            self.client.delete_role_policy(RoleName=self.name, PolicyName=name)
        self.client.delete_role(RoleName=self.name)

    @property
    def _policy(self) -> Properties:
        (policy,) = self.properties["Policies"]
        return cast(Properties, policy)

    def _create(self) -> None:
        trust = json.dumps(self.properties["AssumeRolePolicyDocument"])
        self.client.create_role(RoleName=self.name, AssumeRolePolicyDocument=trust)
        self._set_permission()

    def _set_trust(self) -> None:
        trust = json.dumps(self.properties["AssumeRolePolicyDocument"])
        self.client.update_assume_role_policy(RoleName=self.name, PolicyDocument=trust)

    def _set_permission(self) -> None:
        name, policy = self._policy["PolicyName"], json.dumps(self._policy["PolicyDocument"])
        self.client.put_role_policy(RoleName=self.name, PolicyName=name, PolicyDocument=policy)


@dataclass(frozen=True)
class Secret:
    """A generated key in Secrets Manager. `properties` are those of AWS::SecretsManager::Secret.

    Nobody ever sees the key, so all that can be wrong is that the secret is missing.
    """

    client: Any
    name: str
    properties: Properties

    def __str__(self) -> str:
        return f"secret {self.name}"

    def arn(self) -> str:
        arn: str = self.client.describe_secret(SecretId=self.name)["ARN"]
        return arn

    def exists(self) -> bool:
        return find(self.client.describe_secret, SecretId=self.name) is not None

    def faults(self) -> Iterator[Fault]:
        if not self.exists():
            yield Fault(str(self), "missing", self._create)

    def remove(self) -> None:
        # At once: for as long as a secret could be restored, its name is taken.
        self.client.delete_secret(SecretId=self.name, ForceDeleteWithoutRecovery=True)

    def _create(self) -> None:
        key = self.client.get_random_password(**self.properties["GenerateSecretString"])["RandomPassword"]
        self.client.create_secret(Name=self.name, Description=self.properties["Description"], SecretString=key)


def find(call: Callable[..., Any], **request: Any) -> dict[str, Any] | None:
    """The answer to a question for something, or None if there is no such thing."""
    try:
        answer: dict[str, Any] = call(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] in _NOT_THERE:
            return None
        raise
    return answer


def covers(found: Any, wanted: Any) -> bool:
    """Whether `found` is as `wanted` says. AWS answers with more than was asked for, and lists names in any order."""
    match wanted:
        case Mapping():
            return not wanted or (
                isinstance(found, Mapping) and all(covers(found.get(name), value) for name, value in wanted.items())
            )
        case [str(), *_]:
            return isinstance(found, list) and sorted(found) == sorted(wanted)
        case list():
            return isinstance(found, list) and len(found) == len(wanted) and all(map(covers, found, wanted))
        case str() if wanted.startswith("{"):
            return isinstance(found, str) and covers(json.loads(found), json.loads(wanted))
    return bool(found == wanted)
