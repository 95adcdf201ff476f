"""A crawler that finds the broken links of a site, within limits.

Pages are read breadth first. The limits are those of a polite guest: so many requests at a time, a pause between two of
them, only the site's own pages, up to a number of links from the start, up to a number of pages, and a deadline,
after which the report has what was found until then.
"""

import asyncio
from urllib.error import HTTPError, URLError
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.request import Request, urlopen

from pydantic import BaseModel, Field

from examples.crawler.links import links_in
from worldflow import FatalError, RetryPolicy, publish, set_status, sleep, step, workflow

USER_AGENT = "worldflow-example-crawler/1.0"
PAGE_LIMIT = 1_000_000  # bytes


class Limits(BaseModel):
    pages: int = Field(default=200, gt=0)
    depth: int = Field(default=5, ge=0)
    at_once: int = Field(default=4, gt=0)
    pause: float = Field(default=0.5, ge=0)
    """Seconds between two requests."""
    seconds: float = Field(default=3_600, gt=0)


class Report(BaseModel):
    pages: int = 0
    broken: dict[str, str] = {}
    """What is wrong, by address."""
    complete: bool = False


class BrokenLink(FatalError):
    """Not retried: the page is not there."""


@step(guarantee="repeatable", timeout="20s", retry=RetryPolicy(max_attempts=3))
def fetch_links(url: str) -> list[str]:
    """The addresses that a page links to. Raises `BrokenLink`; other errors are retried."""
    try:
        with urlopen(Request(url, headers={"User-Agent": USER_AGENT}), timeout=10) as response:
            if response.headers.get_content_type() != "text/html":
                return []
            text = response.read(PAGE_LIMIT).decode(errors="replace")
    except HTTPError as error:
        error.close()
        kind = ConnectionError if error.code in (429, *range(500, 600)) else BrokenLink
        raise kind(f"{error.code} {error.reason}") from None
    except URLError as error:
        raise ConnectionError(str(error.reason)) from None
    return sorted({urldefrag(urljoin(url, link)).url for link in links_in(text)})


@workflow
async def crawl_site(start: str, limits: Limits | None = None) -> Report:
    limits = limits or Limits()
    report = Report()
    publish("report", lambda: report)
    try:
        async with asyncio.timeout(limits.seconds):
            await crawl(start, limits, report)
            report.complete = True
    except TimeoutError:
        set_status(f"out of time after {report.pages} pages")
    return report


async def crawl(start: str, limits: Limits, report: Report) -> None:
    known = {start}
    layer: list[str] = [start]
    at_once, turnstile = asyncio.Semaphore(limits.at_once), asyncio.Lock()

    async def visit(url: str) -> list[str]:
        async with at_once:
            async with turnstile:
                await sleep(limits.pause)
            report.pages += 1
            try:
                return await fetch_links(url)
            except (BrokenLink, ConnectionError) as error:
                report.broken[url] = str(error)
                return []

    for depth in range(limits.depth + 1):
        layer = layer[: limits.pages - report.pages]
        if not layer:
            break
        set_status(f"read {report.pages}, and {len(layer)} more at depth {depth}")
        found = await asyncio.gather(*(visit(url) for url in layer))
        layer = []
        for link in (link for links in found for link in links):
            if link not in known and urlsplit(link).netloc == urlsplit(start).netloc:
                known.add(link)
                layer.append(link)
