"""A map reads what is in S3, with the rights of steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.support.systems import AWSSystem, finish, start
from worldflow import FatalError, map_steps, step, workflow
from worldflow.sources import S3Csv, S3Lines, S3Objects, steps

BUCKET = "acme-orders"


@step
async def number_of_order(order: Any) -> Any:
    return order


@workflow
async def maps_s3(kind: str, url: str) -> list[Any]:
    source = {"lines": S3Lines, "csv": S3Csv, "objects": S3Objects}[kind](url)
    found = await map_steps(number_of_order, source, page_size=2, pages=1)
    return [found.total, found.succeeded, len(found.pages)]


@pytest.fixture
def s3(aws: AWSSystem) -> Iterator[Any]:
    s3 = aws.stack.s3
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    yield s3
    for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        s3.delete_object(Bucket=BUCKET, Key=found["Key"])
    s3.delete_bucket(Bucket=BUCKET)


def put(s3: Any, key: str, body: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)


@pytest.mark.parametrize(
    ("kind", "key"), [("lines", "2026/a b#1.jsonl"), ("csv", "2026/orders.csv"), ("objects", "2026/")]
)
def test_each_kind_of_source(aws: AWSSystem, s3: Any, kind: str, key: str) -> None:
    put(s3, "2025/other", b"")
    put(s3, "2026/", b"")
    put(s3, "2026/a b#1.jsonl", b"".join(json.dumps({"n": n}).encode() + b"\r\n" for n in range(3)))
    put(s3, "2026/orders.csv", b'n,text\n1,"of two\nlines"\n2,b\n3,c\n')
    put(s3, "2026/z", b"")
    start(aws, "r", maps_s3, kind=kind, url=f"s3://{BUCKET}/{key}")
    record = finish(aws, "r")
    assert record.result == [3, 3, 2], record.error
    assert record.status_text == "3 of 3 items"


def test_an_object_that_is_replaced_or_not_there(s3: Any) -> None:
    source = S3Lines(f"s3://{BUCKET}/orders")._as_json()
    with pytest.raises(FatalError, match=r"there is no s3://acme-orders/orders \(NoSuchKey\)"):
        steps.walk_source(source, 1, None)
    put(s3, "orders", b"1\n2\n")
    portion = steps.walk_source(source, 1, None)
    put(s3, "orders", b"3\n4\n")
    with pytest.raises(FatalError, match="s3://acme-orders/orders was replaced while a map read it"):
        steps.read_page(source, portion["pin"], portion["pages"][1][1:])
    s3.delete_object(Bucket=BUCKET, Key="orders")
    with pytest.raises(FatalError, match=r"there is no s3://acme-orders/orders \(NoSuchKey\)"):
        steps.read_page(source, portion["pin"], portion["pages"][1][1:])


def test_an_empty_object_has_no_items(s3: Any) -> None:
    put(s3, "orders", b"")
    assert steps.walk_source(S3Csv(f"s3://{BUCKET}/orders")._as_json(), 1, None)["pages"] == []


def test_a_listing_is_read_in_parts(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_PORTION_KEYS", 1)
    for n in range(5):
        put(s3, f"in/{n}", b"")
    source, state, keys = S3Objects(f"s3://{BUCKET}/in/")._as_json(), None, []
    while True:
        portion = steps.walk_source(source, 2, state)
        for _, *place in portion["pages"]:
            keys += steps.read_page(source, {}, place)
        if (state := portion["next"]) is None:
            break
    assert keys == [f"in/{n}" for n in range(5)]


def test_one_client_reads_all_pages(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, "orders", b"1\n2\n3\n")
    sessions, make = [], boto3.session.Session

    def counted(**options: Any) -> Any:
        sessions.append(options)
        return make(**options)

    monkeypatch.setattr(boto3.session, "Session", counted)
    source = S3Lines(f"s3://{BUCKET}/orders")._as_json()
    portion = steps.walk_source(source, 1, None)
    assert [steps.read_page(source, portion["pin"], place) for _, *place in portion["pages"]] == [[1], [2], [3]]
    assert len(sessions) <= 1
