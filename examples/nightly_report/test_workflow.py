from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from examples.nightly_report import storage
from examples.nightly_report.workflow import nightly_report
from worldflow.testing import WorkflowEnvironment

NIGHT = datetime(2026, 3, 12, 2, tzinfo=UTC)
SALES = {
    "north/oslo": "sku,pieces,price\nTEA,3,4.50\nCUP,1,12\n",
    "north/turku": "sku,pieces,price\nTEA,2,4.50\n",
    "south/bari": "sku,pieces,price\nTEA,many,4.50\n",
}
REPORT = "region,store,pieces,turnover\nnorth,oslo,4,25.50\nnorth,turku,2,9.00\n"


@pytest.fixture(params=["files", "S3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the sales are."""
    if request.param == "files":
        yield str(tmp_path)
        return
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="shop")  # pyright: ignore[reportUnknownMemberType]
        yield "s3://shop/data"


async def test_a_night(place: str) -> None:
    for store, text in SALES.items():
        storage.write(f"{place}/sales/2026-03-11/{store}.csv", text)
    async with WorkflowEnvironment(start_time=NIGHT) as env:
        report = await (await env.start(nightly_report, f"{place}/sales", f"{place}/reports")).result()
    bari = f"{place}/sales/2026-03-11/south/bari.csv"
    assert storage.read(f"{place}/reports/2026-03-11.csv") == REPORT
    assert report.turnover == Decimal("34.50")
    assert report.unreadable == {bari: "line 2 is not a sale"}


async def test_a_region_reads_ten_files_at_a_time(tmp_path: Path) -> None:
    for number in range(12):
        storage.write(f"{tmp_path}/sales/2026-03-10/north/{number}.csv", "sku,pieces,price\n")
    async with WorkflowEnvironment() as env:
        run = await env.start(nightly_report, f"{tmp_path}/sales", str(tmp_path), date(2026, 3, 10))
        assert (await run.result()).turnover == 0
        events = [event.event_type for event in await env.run(f"{run.id}~c1").events()]
    assert events[:12] == ["RunStarted", *["StepScheduled"] * 10, "StepCompleted"]


async def test_a_day_without_sales(tmp_path: Path) -> None:
    async with WorkflowEnvironment(start_time=NIGHT) as env:
        run = await env.start(nightly_report, f"{tmp_path}/sales", f"{tmp_path}/reports")
        assert (await run.result()).turnover == 0
    assert storage.read(f"{tmp_path}/reports/2026-03-11.csv") == "region,store,pieces,turnover\n"
