"""The archive of an `AWSWorld`: `archive/` in the bucket of payloads.

`archive/<run id>.jsonl.gz` is the archive of a run. Beside it, under `archive/<run id>/`, are its large data and the
archives of runs that had the id before.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from worldflow.engine.errors import ConfigurationError, WorldflowError
from worldflow.worlds.archives import Archive, Attempt
from worldflow.worlds.aws.access import AWSAccess, as_attributes, values_of
from worldflow.worlds.aws.items import record_item
from worldflow.worlds.items import generation_key
from worldflow.worlds.ledger import keys_of
from worldflow.worlds.records import RunRecord

T = TypeVar("T")

_WRITES, _READS = 25, 100
"""What DynamoDB takes in one batch."""

MAY_NOT_LOOK = "this process has no permission to check whether run"
"""How the error begins; checks of a deployed stack look for it in logs."""

_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds after which DynamoDB is asked again for what it left undone of a batch."""

Item = dict[str, Any]


class AWSArchive(Archive):
    def __init__(self, access: AWSAccess) -> None:
        self._access = access

    @property
    def _bucket(self) -> str:
        return self._access.required("payload_bucket")

    # --- archives ---

    def get(self, run_id: str) -> bytes | None:
        if not self._access.settings.payload_bucket:
            return None
        try:
            answer = self._access.s3.get_object(Bucket=self._bucket, Key=_key(run_id))
        except ClientError as error:
            match error.response["Error"]["Code"]:
                case "NoSuchKey" | "404":
                    return None
                case "AccessDenied" | "403":
                    raise ConfigurationError(
                        f"{MAY_NOT_LOOK} {run_id!r} is archived: it needs s3:GetObject on archive/* and s3:ListBucket, "
                        f"without which S3 does not report missing objects"
                    ) from error
            raise
        data: bytes = answer["Body"].read()
        return data

    def put(self, run_id: str, data: bytes, *, replace: bool = False, keep_as: str | None = None) -> bool:
        if keep_as:
            source = {"Bucket": self._bucket, "Key": _key(run_id)}
            kept = f"archive/{run_id}/{keep_as}.jsonl.gz"
            self._access.s3.copy_object(Bucket=self._bucket, Key=kept, CopySource=source)
        condition = {} if replace else {"IfNoneMatch": "*"}
        try:
            self._access.s3.put_object(
                Bucket=self._bucket, Key=_key(run_id), Body=data, ContentType="application/gzip", **condition
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "412"):
                raise
            return False
        return True

    # --- out of the tables ---

    def seal(self, records: Sequence[RunRecord], reserved: str | None, absent: str | None = None) -> bool:
        writes = [
            self._write(
                "Put",
                Item=record_item(record),
                ConditionExpression="record_seq = :seq AND attribute_not_exists(archived)",
                ExpressionAttributeValues={":seq": record.seq},
            )
            for record in records
        ]
        if reserved:
            item = {"run_id": reserved, "reserved": 1}
            writes.append(self._write("Put", Item=item, ConditionExpression="attribute_not_exists(run_id)"))
        if absent:  # to remove what is not there asks for no right beyond those that archiving needs
            writes.append(
                self._write("Delete", Key={"run_id": absent}, ConditionExpression="attribute_not_exists(run_id)")
            )
        try:
            self._access.dynamodb.transact_write_items(TransactItems=writes)
        except self._access.dynamodb.exceptions.TransactionCanceledException as error:
            reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
            if reasons <= {"None", None, "ConditionalCheckFailed"}:
                return False
            raise
        return True

    def clear(self, run_id: str, attempts: Sequence[Attempt]) -> None:
        self._move_payloads(run_id)
        self._delete(self._access.settings.runs_table, ({"run_id": key} for key in keys_of(run_id, attempts)))
        self.remove_history(run_id)

    def remove_history(self, run_id: str) -> None:
        """Removes the commits of a run, one after the other."""
        self._delete(self._access.settings.events_table, self._commit_keys(run_id))

    def remaining(self, run_ids: Sequence[str]) -> Sequence[str]:
        table = self._access.settings.runs_table
        found: list[str] = []
        for chunk in _chunks(run_ids, _READS):
            keys = [as_attributes({"run_id": run_id}) for run_id in chunk]
            asked: Item = {table: {"Keys": keys, "ProjectionExpression": "run_id", "ConsistentRead": True}}
            for pause in _PAUSES:
                answer = self._access.dynamodb.batch_get_item(RequestItems=asked)
                found += [values_of(item)["run_id"] for item in answer["Responses"].get(table, [])]
                if not (asked := answer.get("UnprocessedKeys") or {}):
                    break
                time.sleep(pause)
            else:
                raise WorldflowError("DynamoDB repeatedly left keys unprocessed when asked which runs have records")
        return found

    def forget(self, run_ids: Sequence[str], base: str | None, reserved: str | None) -> None:
        keys = [*run_ids, *([generation_key(base)] if base else []), *([reserved] if reserved else [])]
        writes = [self._write("Delete", Key={"run_id": key}) for key in keys]
        self._access.dynamodb.transact_write_items(TransactItems=writes)

    def _write(self, what: str, **write: Any) -> Item:
        attributes = {name: as_attributes(value) if isinstance(value, dict) else value for name, value in write.items()}
        return {what: {"TableName": self._access.settings.runs_table, **attributes}}

    def _commit_keys(self, run_id: str) -> Iterator[Item]:
        items = self._access.query(
            TableName=self._access.settings.events_table,
            KeyConditionExpression="run_id = :run",
            ExpressionAttributeValues=as_attributes({":run": run_id}),
            ProjectionExpression="run_id, seq",
            ConsistentRead=True,
        )
        yield from items

    def _delete(self, table: str, keys: Iterable[Item]) -> None:
        for chunk in _chunks(list(keys), _WRITES):
            asked: Item = {table: [{"DeleteRequest": {"Key": as_attributes(key)}} for key in chunk]}
            for pause in _PAUSES:
                answer = self._access.dynamodb.batch_write_item(RequestItems=asked)
                if not (asked := answer.get("UnprocessedItems") or {}):
                    break
                time.sleep(pause)
            else:
                raise WorldflowError(f"DynamoDB repeatedly left deletions unprocessed in {table}")

    def _move_payloads(self, run_id: str) -> None:
        """Moves the run's large data beside its archive. Its large commits are in the archive already."""
        if not self._access.settings.payload_bucket:
            return
        s3, bucket, prefix = self._access.s3, self._bucket, f"payloads/{run_id}/"
        # With a delimiter, as a run may be called "schedules", and payloads of schedules are one level deeper.
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
        for key in [found["Key"] for page in pages for found in page.get("Contents", [])]:
            name = key.removeprefix(prefix)
            if not name.startswith("commit-"):
                source = {"Bucket": bucket, "Key": key}
                s3.copy_object(Bucket=bucket, Key=f"archive/{run_id}/{name}", CopySource=source)
            s3.delete_object(Bucket=bucket, Key=key)


def _key(run_id: str) -> str:
    return f"archive/{run_id}.jsonl.gz"


def _chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
