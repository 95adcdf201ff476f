"""The payloads of an `AWSWorld`: `payloads/` in its bucket. Those of an archived run are beside its archive."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import ClientError

from worldflow.worlds.aws.access import AWSAccess, is_missing
from worldflow.worlds.outages import is_outage

T = TypeVar("T")


class AWSPayloads:
    def __init__(self, access: AWSAccess) -> None:
        self._access = access

    def put(self, key: str, data: bytes) -> None:
        bucket = self._access.required("payload_bucket")
        self._access.s3.put_object(Bucket=bucket, Key=f"payloads/{key}", Body=data)

    def get(self, key: str) -> bytes:
        def get(object_key: str) -> bytes:
            answer = self._access.s3.get_object(Bucket=self._access.required("payload_bucket"), Key=object_key)
            data: bytes = answer["Body"].read()
            return data

        return _wherever_it_is(key, get)

    def copy(self, key: str, new_key: str) -> None:
        bucket = self._access.required("payload_bucket")

        def copy(object_key: str) -> None:
            source = {"Bucket": bucket, "Key": object_key}
            self._access.s3.copy_object(Bucket=bucket, Key=f"payloads/{new_key}", CopySource=source)

        _wherever_it_is(key, copy)


def _wherever_it_is(key: str, use: Callable[[str], T]) -> T:
    """Uses the object of a payload, which is moved when its run is archived."""
    try:
        return use(f"payloads/{key}")
    except ClientError as error:
        if not is_missing(error):
            raise
        try:
            return use(f"archive/{key}")
        except ClientError as other:
            if is_outage(other):
                raise
        raise
