from collections.abc import Iterator

import pytest

from examples.crawler.site import serving
from examples.crawler.workflow import Limits, Report, crawl_site
from worldflow.testing import TestRun, WorkflowEnvironment


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with serving() as site:
        yield site


async def fetched(run: TestRun[Report]) -> list[str]:
    """What was fetched, by path, in order."""
    steps = [event.payload for event in await run.events() if event.event_type == "StepScheduled"]
    return ["/" + step["input"]["url"].split("/", 3)[3] for step in steps]


async def test_the_broken_links_of_a_site_are_found(site: str) -> None:
    async with WorkflowEnvironment() as env:
        report = await (await env.start(crawl_site, f"{site}/")).result()
    broken = {f"{site}/gone": "404 Not Found", f"{site}/busy": "503 Service Unavailable"}
    assert report == Report(pages=10, broken=broken, complete=True)


async def test_it_goes_no_deeper_than_it_may(site: str) -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(crawl_site, f"{site}/", Limits(depth=1))
        await run.result()
        assert await fetched(run) == ["/", "/about", "/blog", "/guide"]


async def test_it_reads_no_more_pages_than_it_may(site: str) -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(crawl_site, f"{site}/", Limits(pages=3))
        await run.result()
        assert await fetched(run) == ["/", "/about", "/blog"]


async def test_it_pauses_between_requests_and_ends_at_its_deadline(site: str) -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(crawl_site, f"{site}/", Limits(pause=10, seconds=35))
        await env.advance("25s")
        assert (await run.query("report"))["pages"] == 2
        assert await run.result() == Report(pages=3)
