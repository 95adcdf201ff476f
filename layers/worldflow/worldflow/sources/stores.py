"""Where the bytes are: an object in S3, or a file.

An object is read as it was when the map began: its ETag is read first and is a condition of each later read. So
replacing the object meanwhile is an error, and never yields half of each version.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import Any, Protocol
from urllib.parse import unquote

from worldflow.engine.errors import FatalError

_CHUNK = 8 * 1024 * 1024
"""Bytes of one read."""

Pin = dict[str, Any]
"""The version of an object: its `etag` and its `size`."""

_EMPTY: Pin = {"etag": "", "size": 0}
"""The version of an empty object, of which nothing is read."""


class Store(Protocol):
    """One object, or all below a prefix."""

    def pin(self) -> Pin:
        """The current version. Raises `FatalError` if there is none."""

    def read(self, pin: Pin, start: int, end: int) -> bytes:
        """A range of its bytes. Raises `FatalError` if the object is no longer that version."""

    def keys(self, after: str) -> Iterator[str]:
        """The keys below the prefix that follow `after`, in order."""


def store_of(url: str) -> Store:
    """The store of a URL. Raises `FatalError` for a file on Lambda."""
    if url.startswith("file://"):
        return _File(url)
    return _Object(url)


def chunks(store: Store, pin: Pin, start: int, end: int) -> Iterator[bytes]:
    """A range of an object's bytes, in chunks."""
    for begin in range(start, end, _CHUNK):
        yield store.read(pin, begin, min(begin + _CHUNK, end))


def _replaced(url: str) -> FatalError:
    return FatalError(
        f"{url} was replaced while a map read it. Start the run again, and write new data to a new key meanwhile"
    )


class _File:
    def __init__(self, url: str) -> None:
        if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
            raise FatalError(f"{url}: a map reads files on a LocalWorld only. On AWS, give it an s3:// URL")
        self._url = url
        self._path = unquote(url.removeprefix("file://"))

    def pin(self) -> Pin:
        try:
            return self._pin_of(os.stat(self._path))
        except FileNotFoundError:
            raise FatalError(f"there is no file {self._path}") from None

    def read(self, pin: Pin, start: int, end: int) -> bytes:
        with open(self._path, "rb") as file:
            if self._pin_of(os.fstat(file.fileno())) != pin:
                raise _replaced(self._url)
            file.seek(start)
            return file.read(end - start)

    def keys(self, after: str) -> Iterator[str]:
        found = []
        for folder, _, names in os.walk(os.path.dirname(self._path)):
            found += [path for name in names if (path := f"{folder.rstrip('/')}/{name}").startswith(self._path)]
        return (path for path in sorted(found) if path > after)

    def _pin_of(self, found: os.stat_result) -> Pin:
        return {"etag": f"{found.st_ino}-{found.st_mtime_ns}", "size": found.st_size}


@cache
def _client() -> Any:
    """The client of S3: making one takes longer than reading most pages."""
    import boto3

    return boto3.session.Session(region_name=os.environ.get("AWS_REGION")).client("s3")


class _Object:
    def __init__(self, url: str) -> None:
        self._url = url
        self._bucket, _, self._key = url.removeprefix("s3://").partition("/")
        self._s3 = _client()

    def pin(self) -> Pin:
        # Not HeadObject: its refusal does not name the missing permission.
        found = self._ask("get_object", Key=self._key, Range="bytes=0-0")
        return {"etag": found["ETag"], "size": int(found["ContentRange"].rpartition("/")[2])} if found else _EMPTY

    def read(self, pin: Pin, start: int, end: int) -> bytes:
        found = self._ask("get_object", Key=self._key, Range=f"bytes={start}-{end - 1}", IfMatch=pin["etag"])
        data: bytes = found["Body"].read()
        return data

    def keys(self, after: str) -> Iterator[str]:
        place = {"StartAfter": after} if after else {}
        while True:
            found = self._ask("list_objects_v2", Prefix=self._key, **place)
            yield from (each["Key"] for each in found.get("Contents", ()) if not each["Key"].endswith("/"))
            if not found["IsTruncated"]:
                return
            place = {"ContinuationToken": found["NextContinuationToken"]}

    def _ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        try:
            found: dict[str, Any] = getattr(self._s3, operation)(Bucket=self._bucket, **parameters)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "PreconditionFailed":
                raise _replaced(self._url) from None
            if code in ("NoSuchKey", "NoSuchBucket"):
                raise FatalError(f"there is no {self._url} ({code})") from None
            if code == "InvalidRange":
                return {}
            raise
        return found
