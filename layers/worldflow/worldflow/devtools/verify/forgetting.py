"""Removes the checks' runs from a stack that stays."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from worldflow.devtools.verify.failures import Failed
from worldflow.devtools.verify.target import ENDED, Target
from worldflow.engine.ids import starts_key


def forget(target: Target) -> list[str]:
    """Terminates the checks' runs and deletes them: history, record and large values. Their items in the step ledger
    expire. Returns the runs that are left, with the reason.
    """
    left = []
    for run_id in dict.fromkeys(target.runs):
        try:
            _end(target, run_id)
            _delete(target, run_id)
        except (Failed, ClientError) as error:
            left.append(f"run {run_id}: {error}")
    return left


def _end(target: Target, run_id: str) -> None:
    answer = target.call("GET", f"/runs/{run_id}")
    if answer.status != 200 or answer.body["status"] in ENDED:
        return
    target.call("POST", f"/runs/{run_id}/terminate", {"reason": "verified"})
    target.ended(run_id, "cancelled")


def _delete(target: Target, run_id: str) -> None:
    tables = target.client("dynamodb")
    events, runs = target.outputs["EventsTableName"], target.outputs["RunsTableName"]
    keys = []
    for history in (run_id, starts_key(run_id)):
        pages = tables.get_paginator("query").paginate(
            TableName=events,
            KeyConditionExpression="run_id = :run",
            ExpressionAttributeValues={":run": {"S": history}},
            ProjectionExpression="run_id, seq",
        )
        keys += [(events, key) for page in pages for key in page["Items"]]
    keys += [(runs, {"run_id": {"S": name}}) for name in (run_id, f"generation#{run_id}", f"joined#{run_id}")]
    for table, key in keys:
        tables.delete_item(TableName=table, Key=key)
    s3, bucket = target.client("s3"), target.outputs["PayloadBucketName"]
    for prefix in (f"payloads/{run_id}/", f"archive/{run_id}/", f"archive/{run_id}.jsonl.gz"):
        found: list[dict[str, Any]] = []
        with suppress(ClientError):
            found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        for one in found:
            s3.delete_object(Bucket=bucket, Key=one["Key"])
