"""What a limit asks of AWS: the writes of a limited step, less those of the same step without a limit."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.support.systems import AWSSystem, finish, start
from worldflow import Limit, step, workflow

WRITE = "dynamodb.PutItem"


async def _count(number: int) -> int:
    return number


free = step(name="turnstile_free")(_count)
placed = step(name="turnstile_placed", limit=Limit("turnstile", concurrency=1))(_count)
paced = step(name="turnstile_paced", limit=Limit("turnstile-rate", rate="1000/1s"))(_count)
grouped = step(name="turnstile_grouped", limit=Limit("turnstile-group", concurrency=1, approximate=True))(_count)

STEPS = {"free": free, "placed": placed, "paced": paced, "grouped": grouped}


@workflow
async def pass_the_turnstile(kind: str, count: int) -> int:
    return sum(await asyncio.gather(*(STEPS[kind](number) for number in range(count))))


def writes(aws: AWSSystem, run_id: str, kind: str, count: int) -> int:
    aws.stack.requests.clear()
    start(aws, run_id, pass_the_turnstile, kind=kind, count=count)
    assert finish(aws, run_id).status == "completed"
    return Counter(aws.stack.requests)[WRITE]


@pytest.mark.parametrize(
    ("kind", "count", "more"), [("placed", 1, 2), ("placed", 4, 5), ("paced", 1, 1), ("grouped", 3, 0)]
)
def test_writes(kind: str, count: int, more: int, aws: AWSSystem) -> None:
    writes(aws, f"{kind}-before", kind, 1)  # which enters the limit into the lists

    assert writes(aws, kind, kind, count) - writes(aws, "free", "free", count) == more
