"""What `map_steps` makes of its function and its items."""

from collections.abc import AsyncIterator
from typing import assert_type

from worldflow import MapFailure, MapResult, MapSummary, map_steps, step, workflow
from worldflow.sources import S3Csv, S3Lines, S3Objects


@step(name="types_map_weigh")
async def weigh(sku: str) -> int:
    return len(sku)


@workflow(name="types_map_pack")
async def pack(sku: str) -> bytes:
    return sku.encode()


async def measured(sku: str) -> float:
    return float(await weigh(sku))


async def arriving() -> AsyncIterator[str]:
    yield "a"


@workflow(name="types_maps")
async def maps(skus: list[str]) -> int:
    weights = await map_steps(weigh, skus, concurrency=5, tolerated_failures=1)
    assert_type(weights, MapResult[str, int])
    assert_type(weights.results, list[int | None])
    assert_type(weights.succeeded, list[int])
    assert_type(weights.failures, list[MapFailure[str]])
    assert_type(weights.failures[0].item, str)
    assert_type(weights.unfinished, list[int])
    assert_type(weights.total, int)
    assert_type(await map_steps(pack, skus, min_successful=1), MapResult[str, bytes])
    assert_type(await map_steps(measured, arriving(), tolerated_failure_percentage=2.5), MapResult[str, float])

    summary = await map_steps(weigh, skus, page_size=100, pages=3)
    assert_type(summary, MapSummary)
    assert_type(summary.succeeded, int)
    assert_type(await map_steps(pack, arriving(), page_size=100, concurrency=5), MapSummary)
    for source in (S3Lines("s3://a/b"), S3Csv("s3://a/b"), S3Objects("s3://a")):
        assert_type(await map_steps(weigh, source), MapSummary)

    await map_steps(weigh, [1, 2], page_size=1)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await map_steps(weigh, [1, 2])  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await map_steps(len, skus)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    return sum(weights.succeeded)
