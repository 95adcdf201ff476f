"""A bucket of S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from worldflow.aws_setup.definitions import Properties
from worldflow.aws_setup.parts import Fault, covers, find
from worldflow.engine.errors import ConfigurationError


@dataclass(frozen=True)
class Bucket:
    """A bucket of S3.

    account: the owner.
    properties: those of AWS::S3::Bucket, and as `Policy` the document of its policy.
    """

    client: Any
    name: str
    account: str
    properties: Properties

    def __str__(self) -> str:
        return f"bucket {self.name}"

    @property
    def _mine(self) -> dict[str, str]:
        """The bucket, if this account owns it: bucket names are global, so another account may have this one."""
        return {"Bucket": self.name, "ExpectedBucketOwner": self.account}

    def exists(self) -> bool:
        try:
            return find(self.client.head_bucket, **self._mine) is not None
        except ClientError as error:
            if error.response["Error"]["Code"] != "403":
                raise
            raise ConfigurationError(f"{self} belongs to another AWS account: choose another payload bucket") from None

    def faults(self) -> Iterator[Fault]:
        if not self.exists():
            yield Fault(str(self), "missing", self._create)
            return
        for what, (api, argument) in self._settings().items():
            answer = find(getattr(self.client, f"get_{api}"), **self._mine) or {}
            (name,) = argument
            # Some are read under the name that they are written under, some without it.
            if not (covers(answer, argument) or covers({name: answer}, argument)):
                put = partial(getattr(self.client, f"put_{api}"), **self._mine, **argument)
                yield Fault(str(self), f"other {what}", put)

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
        # us-east-1 is the default, and S3 refuses its name here.
        where = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region != "us-east-1" else {}
        self.client.create_bucket(Bucket=self.name, **where)
        for api, argument in self._settings().values():
            getattr(self.client, f"put_{api}")(**self._mine, **argument)

    def _settings(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """The name of each setting's requests, without `get_` and `put_`, and the argument that it is put with."""
        encryption = self.properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        lifecycle = self.properties["LifecycleConfiguration"]["Rules"]
        return {
            "encryption": (
                "bucket_encryption",
                {"ServerSideEncryptionConfiguration": {"Rules": [_encryption_rule(**rule) for rule in encryption]}},
            ),
            "public access": ("public_access_block", self._as_it_is("PublicAccessBlockConfiguration")),
            "ownership": ("bucket_ownership_controls", self._as_it_is("OwnershipControls")),
            "versioning": ("bucket_versioning", self._as_it_is("VersioningConfiguration")),
            "lifecycle": (
                "bucket_lifecycle_configuration",
                {"LifecycleConfiguration": {"Rules": [_lifecycle_rule(**rule) for rule in lifecycle]}},
            ),
            "policy": ("bucket_policy", {"Policy": json.dumps(self.properties["Policy"])}),
        }

    def _as_it_is(self, name: str) -> dict[str, Any]:
        return {name: self.properties[name]}


# S3's API has other names for some properties. One that is not renamed here passes as it is, and boto3 refuses a name
# that S3 does not have.


def _encryption_rule(*, ServerSideEncryptionByDefault: Properties, **same: Any) -> dict[str, Any]:
    return {"ApplyServerSideEncryptionByDefault": ServerSideEncryptionByDefault, **same}


def _lifecycle_rule(
    *,
    Id: str,
    Prefix: str | None = None,
    ExpiredObjectDeleteMarker: bool | None = None,
    Transitions: list[Properties] | None = None,
    **same: Any,
) -> dict[str, Any]:
    rule = {"ID": Id, "Filter": {} if Prefix is None else {"Prefix": Prefix}, **same}
    if ExpiredObjectDeleteMarker is not None:
        rule["Expiration"] = {"ExpiredObjectDeleteMarker": ExpiredObjectDeleteMarker}
    if Transitions is not None:
        rule["Transitions"] = [
            {"StorageClass": transition["StorageClass"], "Days": transition["TransitionInDays"]}
            for transition in Transitions
        ]
    return rule
