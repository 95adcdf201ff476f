"""The bucket of payloads, as the template makes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from worldflow.aws_setup.parts import Fault, covers, document, find
from worldflow.engine.errors import ConfigurationError


@dataclass(frozen=True)
class _Setting:
    """One aspect of a bucket: what it is read and written with, and the argument of the writing."""

    what: str
    get: Callable[..., Any]
    put: Callable[..., Any]
    argument: Mapping[str, Any]

    def holds(self, bucket: Mapping[str, str]) -> bool:
        answer = find(self.get, **bucket) or {}
        (name,) = self.argument
        # Some are answered under the name that they are written under, some without.
        return covers(answer, self.argument) or covers({name: answer}, self.argument)


@dataclass(frozen=True)
class Bucket:
    """A bucket of S3 that nobody else sees."""

    client: Any
    name: str
    partition: str
    account: str

    def __str__(self) -> str:
        return f"bucket {self.name}"

    @property
    def _mine(self) -> dict[str, str]:
        """The bucket, if it is this account's: names belong to everybody, and somebody may have taken this one."""
        return {"Bucket": self.name, "ExpectedBucketOwner": self.account}

    def exists(self) -> bool:
        try:
            return find(self.client.head_bucket, **self._mine) is not None
        except ClientError as error:
            if error.response["Error"]["Code"] != "403":
                raise
            raise ConfigurationError(f"{self} belongs to somebody else: choose another payload bucket") from None

    def faults(self) -> Iterator[Fault]:
        if not self.exists():
            yield Fault(str(self), "missing", self._create)
            return
        for setting in self._settings():
            if not setting.holds(self._mine):
                yield Fault(str(self), f"other {setting.what}", partial(setting.put, **self._mine, **setting.argument))

    def remove(self) -> None:
        for page in self.client.get_paginator("list_object_versions").paginate(**self._mine):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if found:
                objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
                answer = self.client.delete_objects(**self._mine, Delete={"Objects": objects, "Quiet": True})
                if errors := answer.get("Errors"):
                    raise ConfigurationError(f"{self}: {errors[0]['Key']} cannot be deleted: {errors[0]['Message']}")
        self.client.delete_bucket(**self._mine)

    def _create(self) -> None:
        region = self.client.meta.region_name
        # The oldest region is the one that has no name here.
        where = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region != "us-east-1" else {}
        self.client.create_bucket(Bucket=self.name, **where)
        for setting in self._settings():
            setting.put(**self._mine, **setting.argument)

    def _settings(self) -> Iterator[_Setting]:
        s3 = self.client
        encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
        blocked = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        # History refers to payloads for as long as it is kept, so no rule expires them; what is replaced or deleted by
        # mistake stays for the 35 days of the tables' own recovery.
        forget = {
            "ID": "forget-what-was-replaced",
            "Status": "Enabled",
            "Filter": {},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 35},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        }
        archive = {
            "ID": "archived-runs",
            "Status": "Enabled",
            "Filter": {"Prefix": "archive/"},
            "Transitions": [{"Days": 0, "StorageClass": "GLACIER_IR"}],
        }
        arn = f"arn:{self.partition}:s3:::{self.name}"
        only_over_tls = {
            "Sid": "OnlyOverTLS",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        yield _Setting(
            "encryption",
            s3.get_bucket_encryption,
            s3.put_bucket_encryption,
            {"ServerSideEncryptionConfiguration": encryption},
        )
        yield _Setting(
            "public access",
            s3.get_public_access_block,
            s3.put_public_access_block,
            {"PublicAccessBlockConfiguration": dict.fromkeys(blocked, True)},
        )
        yield _Setting(
            "ownership",
            s3.get_bucket_ownership_controls,
            s3.put_bucket_ownership_controls,
            {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}},
        )
        yield _Setting(
            "versioning",
            s3.get_bucket_versioning,
            s3.put_bucket_versioning,
            {"VersioningConfiguration": {"Status": "Enabled"}},
        )
        yield _Setting(
            "lifecycle",
            s3.get_bucket_lifecycle_configuration,
            s3.put_bucket_lifecycle_configuration,
            {"LifecycleConfiguration": {"Rules": [forget, archive]}},
        )
        yield _Setting(
            "policy", s3.get_bucket_policy, s3.put_bucket_policy, {"Policy": json.dumps(document(only_over_tls))}
        )
