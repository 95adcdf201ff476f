"""DynamoDB counts what it reads before it filters: a list that has a filter reads much at a time, and not for ever."""

import itertools
from datetime import timedelta
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.clock import START
from tests.support.systems import AWSSystem
from worldflow.worlds import RunRecord, World
from worldflow.worlds.aws import listing
from worldflow.worlds.aws.listing import REQUESTS


def fill(world: World, count: int) -> None:
    for number in range(count):
        world.create_run(
            RunRecord(
                run_id=f"r{number}",
                workflow_name="mails" if number % 50 == 7 else "orders",
                created_at=START + timedelta(milliseconds=number),
                updated_at=START,
                attributes={"customer": f"c{number}"},
            )
        )


@pytest.fixture
def small_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if four runs were as much as DynamoDB reads for one request."""
    request = listing._request
    monkeypatch.setattr(listing, "_request", lambda *about: {"Limit": 4} | request(*about))


def pages(aws: AWSSystem, limit: int, **filters: Any) -> list[list[str]]:
    """The ids on each page. Looks at how many requests each makes."""
    found: list[list[str]] = []
    cursor: str | None = None
    while not found or cursor:
        aws.stack.requests.clear()
        page = aws.world.list_runs(limit=limit, cursor=cursor, **filters)
        assert len(aws.stack.requests) <= REQUESTS
        found.append([run.run_id for run in page.runs])
        cursor = page.cursor
    return found


def test_it_asks_each_shard_once_where_that_reads_all(aws: AWSSystem) -> None:
    fill(aws.world, 200)
    filters: list[dict[str, Any]] = [{"attributes": {"customer": "c0"}}, {"workflow": "mails"}, {"workflow": "none"}]
    for limit, given in itertools.product([1, 10, 50], filters):
        aws.stack.requests.clear()
        aws.world.list_runs(limit=limit, **given)
        assert aws.stack.requests == ["dynamodb.Query"] * 8, (limit, given)


@pytest.mark.usefixtures("small_reads")
def test_what_is_not_found_at_once_is_found_page_by_page(aws: AWSSystem) -> None:
    fill(aws.world, 400)
    mails = [f"r{number}" for number in range(357, 0, -50)]
    for limit in (1, 3, 50):
        found = pages(aws, limit, workflow="mails")
        assert [run_id for page in found for run_id in page] == mails
        assert all(len(page) <= limit for page in found)
    assert pages(aws, 3, attributes={"customer": "c0"})[-1] == ["r0"]
    assert pages(aws, 3, attributes={"customer": "c0"})[0] == []
    assert sum(map(len, pages(aws, 3, attributes={"customer": "nobody's"}))) == 0


@pytest.mark.usefixtures("small_reads")
def test_a_page_without_runs_leads_to_the_next_over_the_api(aws: AWSSystem, api: Api) -> None:
    fill(aws.world, 400)
    answer = api.get("/runs", ("attribute.customer", "c0"))
    assert answer.body["runs"] == []
    while answer.body["cursor"]:
        answer = api.get("/runs", ("attribute.customer", "c0"), ("cursor", answer.body["cursor"]))
    assert [run["run_id"] for run in answer.body["runs"]] == ["r0"]
