"""The steps that read a source: one walks it and returns where its pages begin, the other reads one page.

Neither holds more than a few megabytes, however large the object is. A walk is done in portions, each a step that
begins where the previous one ended, so that no attempt lasts long and a retry repeats only one portion.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from worldflow.engine.workflow.definitions import Step, _steps
from worldflow.sources.records import Record, header_of, json_of, records, row_of
from worldflow.sources.stores import Pin, chunks, store_of

_PAGE_BYTES = 4 * 1024 * 1024
"""A page ends after this many bytes, however few records it has: its items are in the history of its run."""

_PORTION_BYTES, _PORTION_KEYS, _PORTION_PAGES = 256 * 1024 * 1024, 100_000, 1_000
"""The most that one step walks."""


def walk_source(source: dict[str, Any], page_size: int, state: dict[str, Any] | None) -> dict[str, Any]:
    """A portion of the pages of a source, from where the portion before ended.

    Returns `pages`, each as the number of its items and its place; the `share` of the source that has been walked;
    the `pin`; and the state for the `next` portion, None at the end.
    """
    return _walk_keys(source, page_size, state) if source["kind"] == "objects" else _walk(source, page_size, state)


def read_page(source: dict[str, Any], pin: Pin, place: list[Any]) -> list[Any]:
    """The items of a page."""
    url, delimiter = source["url"], source.get("delimiter")
    store = store_of(url)
    if source["kind"] == "objects":
        after, last = place
        return list(takewhile(lambda key: key <= last, store.keys(after)))
    start, end, line = place
    found = _records(source, pin, start, end, line)
    if delimiter is None:
        return [json_of(url, record) for record in found]
    return [row_of(url, record, delimiter, pin["header"]) for record in found]


def _records(source: dict[str, Any], pin: Pin, start: int, end: int, line: int) -> Iterator[Record]:
    """The records in a range, without those that are empty."""
    delimiter = source.get("delimiter")
    bytes_of_range = chunks(store_of(source["url"]), _version(pin), start, end)
    for record in records(source["url"], bytes_of_range, start, line, delimiter):
        if not record.is_empty and (delimiter or record.data.strip()):
            yield record


def _version(pin: Pin) -> Pin:
    return {"etag": pin["etag"], "size": pin["size"]}


def _walk(source: dict[str, Any], page_size: int, state: dict[str, Any] | None) -> dict[str, Any]:
    state = state or {"start": 0, "line": 1, "pin": store_of(source["url"]).pin()}
    start, pin = state["start"], state["pin"]
    size = pin["size"]
    pages: list[list[int]] = []
    count, page = 0, (start, state["line"])
    for record in _records(source, pin, start, size, state["line"]):
        if source["kind"] == "csv" and "header" not in pin:
            pin = {**pin, "header": header_of(source["url"], record, source["delimiter"])}
            page = (record.end, record.next_line)
            continue
        count += 1
        if count < page_size and record.end - page[0] < _PAGE_BYTES:
            continue
        pages.append([count, page[0], record.end, page[1]])
        count, page = 0, (record.end, record.next_line)
        if len(pages) == _PORTION_PAGES or record.end - start >= _PORTION_BYTES:
            follows = {"start": page[0], "line": page[1], "pin": pin}
            return {"pages": pages, "share": record.end / size, "pin": pin, "next": follows}
    if count:
        pages.append([count, page[0], size, page[1]])
    return {"pages": pages, "share": 1, "pin": pin, "next": None}


def _walk_keys(source: dict[str, Any], page_size: int, state: dict[str, Any] | None) -> dict[str, Any]:
    after = (state or {"after": ""})["after"]
    pages: list[list[Any]] = []
    count, last, seen = 0, after, 0
    for last in store_of(source["url"]).keys(after):
        count += 1
        seen += 1
        if count < page_size:
            continue
        pages.append([count, after, last])
        count, after = 0, last
        if len(pages) == _PORTION_PAGES or seen >= _PORTION_KEYS:
            return {"pages": pages, "share": 1, "pin": {}, "next": {"after": last}}
    if count:
        pages.append([count, after, last])
    return {"pages": pages, "share": 1, "pin": {}, "next": None}


_steps.add_own(Step(walk_source, "worldflow.walk_source"))
_steps.add_own(Step(read_page, "worldflow.read_page"))
