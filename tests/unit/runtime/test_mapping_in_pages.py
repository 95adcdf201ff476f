"""`map_steps` in pages: items by children, and what holds over all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from worldflow import (
    FatalError,
    MapFailedError,
    OutsideError,
    RunFailedError,
    map_steps,
    now,
    sleep,
    step,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import AttributesSet, ChildStarted, StepScheduled
from worldflow.engine.workflow import definitions, paging
from worldflow.runtime import Orchestrator
from worldflow.sources import S3Csv, S3Lines, S3Objects, stores
from worldflow.testing import WorkflowEnvironment

pytestmark = pytest.mark.usefixtures("quiet")


@step(inline=True)
async def paged_step(n: int) -> int:
    if n < 0:
        raise LookupError(n)
    return n * 10


@step(inline=True)
async def paged_fatal(n: int) -> int:
    if n < 0:
        raise FatalError(f"no {n}")
    return n * 10


@workflow
async def paged_child(n: int) -> int:
    await sleep(60)
    return n * 10


async def arriving(numbers: list[int]) -> AsyncIterator[int]:
    for n in numbers:
        await sleep(60)
        yield n


@workflow
async def maps_in_pages(numbers: list[int], options: dict[str, Any], source: str = "list") -> dict[str, Any]:
    items: Any = arriving(numbers) if source == "async" else numbers
    f: Any = paged_child if source == "children" else paged_fatal
    try:
        found = await map_steps(f, items, **options)
    except MapFailedError as error:
        found = error.result
        assert (error.total, error.succeeded, error.failed) == (found.total, found.succeeded, found.failed)
        return {"error": str(error), "causes": causes_of(error), **report(found)}
    return report(found)


def causes_of(error: BaseException) -> list[str]:
    causes = []
    while error := error.__cause__:  # type: ignore[assignment]
        causes.append(str(error))
    return causes


def report(found: Any) -> dict[str, Any]:
    return {
        "counts": [found.total, found.succeeded, found.failed, found.unfinished],
        "failures": [[failure.index, failure.item, repr(failure.error)] for failure in found.failures],
        "pages": found.pages,
    }


async def mapped(numbers: list[int], source: str = "list", **options: Any) -> dict[str, Any]:
    async with WorkflowEnvironment() as env:
        run = await env.start(maps_in_pages, numbers, options, source)
        return await run.result()


@pytest.mark.parametrize("source", ["list", "async", "children"])
async def test_items_are_mapped_by_children(source: str) -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(maps_in_pages, list(range(7)), {"page_size": 3}, source)
        pages = ["test-1~c1", "test-1~c2", "test-1~c3"]
        assert await run.result() == {"counts": [7, 7, 0, 0], "failures": [], "pages": pages}
        results = [await env.run(page).query("results") for page in pages]
        assert results == [[0, 10, 20], [30, 40, 50], [60]]
        kind = ChildStarted if source == "children" else StepScheduled
        assert sum(isinstance(event, kind) for event in env.world.load_history(pages[0])) == 3


async def test_no_items_are_no_pages() -> None:
    assert (await mapped([], page_size=3))["counts"] == [0, 0, 0, 0]
    assert (await mapped([], "async", page_size=3))["counts"] == [0, 0, 0, 0]


@pytest.mark.parametrize(("source", "minutes"), [("list", 4), ("async", 14)])
async def test_so_many_pages_and_so_many_items_of_each_run_at_a_time(source: str, minutes: int) -> None:
    @workflow
    async def maps_for_minutes(source: str) -> float:
        numbers = list(range(12))
        items: Any = arriving(numbers) if source == "async" else numbers
        began = now()
        await map_steps(paged_child, items, page_size=4, pages=2, concurrency=3)
        return (now() - began).total_seconds()

    async with WorkflowEnvironment() as env:
        took = await (await env.start(maps_for_minutes, source)).result()
    assert took == pytest.approx(minutes * 60, abs=1)


@dataclass
class Invoice:
    number: int
    due: date


async def test_items_and_results_have_the_types_of_the_function(tmp_path: Path) -> None:
    @step
    async def move_invoice(invoice: Invoice) -> Invoice:
        return Invoice(invoice.number, invoice.due.replace(year=2027))

    @workflow
    async def moves_invoices(invoices: list[Invoice], source: str) -> list[Any]:
        items: Any = {"list": invoices, "lines": S3Lines(lines.as_uri()), "csv": S3Csv(table.as_uri())}[source]
        found = await map_steps(move_invoice, items, page_size=2, tolerated_failures=1)
        return [found.succeeded, [[failure.item, type(failure.error).__name__] for failure in found.failures]]

    lines, table = tmp_path / "invoices.jsonl", tmp_path / "invoices.csv"
    lines.write_text('{"number": 1, "due": "2026-02-01"}\n{"number": 1, "due": "soon"}\n')
    table.write_text("number,due\n1,2026-02-01\n1,soon\n")
    moved = {"number": 1, "due": "2027-02-01"}
    async with WorkflowEnvironment() as env:
        first = await env.start(moves_invoices, [Invoice(1, date(2026, 2, 1))], "list")
        assert await first.result() == [1, []]
        assert await env.run("test-1~c1").query("results") == [moved]
        for number, source, item in ((2, "lines", {"number": 1}), (3, "csv", {"number": "1"})):
            run = await env.start(moves_invoices, [], source)
            assert await run.result() == [1, [[{**item, "due": "soon"}, "InvalidInputError"]]]
            assert await env.run(f"test-{number}~c1").query("results") == [moved, None]
            (failed,) = await env.run(f"test-{number}~c1").query("failures")
            assert failed["index"] == 1 and failed["error"].startswith("InvalidInputError: the input does not fit")


async def test_the_keys_of_objects_are_items(tmp_path: Path) -> None:
    @step
    async def read_key(key: str) -> str:
        return Path(key).read_text()

    @workflow
    async def maps_over_objects(url: str) -> list[str]:
        return (await map_steps(read_key, S3Objects(url))).pages

    (tmp_path / "one.txt").write_text("uno")
    async with WorkflowEnvironment() as env:
        assert await (await env.start(maps_over_objects, tmp_path.as_uri())).result() == ["test-1~c1"]
        assert await env.run("test-1~c1").query("results") == ["uno"]


async def test_an_object_that_comes_meanwhile_counts(tmp_path: Path) -> None:
    @step
    async def put_another(key: str) -> None:
        (tmp_path / "c2").touch()

    @workflow
    async def maps_over_what_comes(url: str) -> list[int]:
        found = await map_steps(put_another, S3Objects(url), page_size=2, pages=1)
        return [found.total, found.succeeded, found.unfinished]

    for name in "abcd":
        (tmp_path / name).touch()
    async with WorkflowEnvironment() as env:
        run = await env.start(maps_over_what_comes, tmp_path.as_uri())
        assert await run.result() == [5, 5, 0]
        assert env.world.read_run(run.id).status_text == "5 of 5 items"  # type: ignore[union-attr]


# --- how many may fail ---


async def test_by_default_the_first_failure_ends_its_page_and_all_others() -> None:
    found = await mapped([1, 2, 3, -4, 5, 6, 7], page_size=2, pages=2, concurrency=1)
    assert found["error"] == "1 of 7 items failed, and 0 may fail; the first is item 3 (FatalError)"
    page = "1 of 2 items failed, and 0 may fail; the first is item 3 (FatalError)"
    assert found["causes"] == [page, "no -4"]
    assert found["counts"] == [7, 3, 1, 3]
    assert found["failures"] == [[3, -4, "FatalError('no -4')"]]


@pytest.mark.parametrize("source", ["list", "async"])
async def test_failures_count_over_all_pages(source: str) -> None:
    numbers = [1, -2, 3, -4, 5, -6, 7]
    fits = await mapped(numbers, source, page_size=2, tolerated_failures=3)
    assert fits["counts"] == [7, 4, 3, 0]
    assert [failure[:2] for failure in fits["failures"]] == [[1, -2], [3, -4], [5, -6]]
    over = await mapped(numbers, source, page_size=2, pages=1, tolerated_failures=2)
    of = "7 items" if source == "list" else "6 items that started"
    assert over["error"] == f"3 of {of} failed, and 2 may fail; the first is item 1 (FatalError)"
    assert over["counts"][1:3] == [3, 3]


async def test_a_page_is_given_what_is_left_of_the_failures() -> None:
    found = await mapped([-1, 2, 3, -4, 5, 6], page_size=3, pages=1, concurrency=1, tolerated_failures=1)
    assert found["counts"] == [6, 2, 2, 2]  # the second page ends with its first failure


@pytest.mark.parametrize(("percentage", "failed"), [(28.6, False), (28.5, True)])
async def test_a_percentage_is_of_all_items(percentage: float, failed: bool) -> None:
    options: dict[str, Any] = {"page_size": 2, "tolerated_failure_percentage": percentage}
    assert ("error" in await mapped([1, -2, 3, 4, -5, 6, 7], **options)) is failed
    assert ("error" in await mapped([1, -2, 3, 4, -5, 6, 7], "async", **options)) is failed


async def test_enough_successes_end_it_as_a_page_ends() -> None:
    found = await mapped([1, -2, 3, 4, 5, 6, 7], page_size=2, pages=1, min_successful=3)
    assert found["counts"] == [7, 3, 1, 3]
    assert len(found["pages"]) == 2


async def test_successes_that_cannot_be_reached_end_it() -> None:
    found = await mapped([-1, -2, 3, 4], page_size=2, pages=1, min_successful=3)
    assert found["error"].startswith("2 of 4 items failed, and 3 have to succeed")


async def test_the_numbers_of_failures_and_their_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "KEPT", 3)

    @step(inline=True)
    async def fails_at_length(text: str) -> None:
        raise FatalError(text)

    @workflow
    async def fails_at_lengths() -> list[Any]:
        texts = ["a" * 10, "b" * 5_000, *"cdefg"]
        found = await map_steps(fails_at_length, texts, page_size=2, tolerated_failure_percentage=100)
        return [found.failed, [[failure.item, str(failure.error)] for failure in found.failures]]

    async with WorkflowEnvironment() as env:
        failed, kept = await (await env.start(fails_at_lengths)).result()
        assert failed == 7
        assert kept[0] == ["a" * 10, "a" * 10]
        assert kept[1] == [None, "worldflow.engine.errors:FatalError: " + "b" * 500]
        assert kept[2] == ["c", "c"]
        assert [each["item"] for each in await env.run("test-1~c1").query("failures")] == ["a" * 10, "b" * 5_000]


async def test_a_page_whose_failures_are_long_fails_with_its_counts() -> None:
    """An error of more than 100 KB would come as another."""

    @step(inline=True)
    async def fails_with_more(text: str) -> None:
        raise FatalError(text + "x" * 900) from FatalError("y" * 15_000)

    @workflow
    async def fails_with_much() -> list[Any]:
        try:
            texts = ["x" * 40_000, *(f"{n}" * 300 for n in range(200))]
            await map_steps(fails_with_more, texts, page_size=300, tolerated_failures=120)
        except MapFailedError as error:
            return [error.failed, len(error.result.failures) > 10]
        return []

    async with WorkflowEnvironment() as env:
        assert await (await env.start(fails_with_much)).result() == [121, True]


async def test_a_failed_map_goes_on_with_the_page_that_failed() -> None:
    broken = [True]
    ran: list[int] = []

    @step(inline=True)
    async def mended(n: int) -> int:
        if n == 3 and broken[0]:
            raise FatalError("not yet")
        ran.append(n)
        return n

    @workflow
    async def maps_what_is_mended() -> int:
        return (await map_steps(mended, list(range(8)), page_size=2, pages=1, concurrency=1)).succeeded

    async with WorkflowEnvironment() as env:
        run = await env.start(maps_what_is_mended)
        with pytest.raises(RunFailedError):
            await run.result()
        broken[0] = False
        orchestrator = Orchestrator(env.world)
        await orchestrator.retry(run.id)
        await env.settle()
        assert await orchestrator.run(run.id).result() == 8
    assert ran == [0, 1, 2, 2, 3, 4, 5, 6, 7]


# --- reading ---


@workflow
async def maps_lines(url: str) -> list[int]:
    found = await map_steps(paged_fatal, S3Lines(url), page_size=2)
    return [found.total, found.succeeded]


async def test_a_line_that_is_broken_fails_the_map_without_a_retry(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text("1\n2\n3\n{\n5\n")
    async with WorkflowEnvironment() as env:
        run = await env.start(maps_lines, path.as_uri())
        with pytest.raises(RunFailedError) as failed:
            await run.result()
        assert isinstance(failed.value.__cause__, FatalError)
        assert str(failed.value.__cause__).startswith(f"{path.as_uri()}: line 4 (byte 7) is not JSON: Expecting")
        events = [event.event_type for event in env.world.load_history("test-1~c2")]
        assert (events.count("StepFailed"), events.count("StepRetryScheduled")) == (1, 0)


async def test_reading_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines"
    path.write_text("1\n2\n3\n")
    read, failures = stores._File.read, [OSError("the disk"), OSError("the disk"), OSError("the disk")]

    def fails_at_first(*args: Any) -> bytes:
        if failures:
            raise failures.pop()
        return read(*args)

    monkeypatch.setattr(stores._File, "read", fails_at_first)
    async with WorkflowEnvironment() as env:
        assert await (await env.start(maps_lines, path.as_uri())).result() == [3, 3]
    assert failures == []


async def test_a_file_that_is_replaced_meanwhile_fails_the_map(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text("1\n2\n3\n4\n")

    @step
    async def replace_file(n: int) -> None:
        path.write_text("1\n2\n3\n4\n5\n")

    @workflow
    async def maps_what_is_replaced() -> None:
        await map_steps(replace_file, S3Lines(path.as_uri()), page_size=2, pages=1)

    async with WorkflowEnvironment() as env:
        run = await env.start(maps_what_is_replaced)
        with pytest.raises(RunFailedError, match="was replaced while a map read it"):
            await run.result()


# --- the caller's run ---


async def test_its_status_is_how_far_it_is_and_moves_by_percents() -> None:
    async with WorkflowEnvironment() as env:
        numbers = [*range(249), -1]
        run = await env.start(maps_in_pages, numbers, {"page_size": 1, "tolerated_failures": 1})
        await run.result()
        events = env.world.load_history(run.id)
        texts = [event.status_text for event in events if isinstance(event, AttributesSet)]
        assert len(texts) <= 101
        assert "25 of 250 items" in texts and texts[-1] == "250 of 250 items, 1 failed"
        assert env.world.read_run(run.id).status_text == texts[-1]  # type: ignore[union-attr]
        assert len(events) == 2 + 2 * 250 + len(texts)


async def test_cancelling_the_caller_cancels_pages_and_items() -> None:
    @workflow
    async def paged_child_that_waits(n: int) -> None:
        await wait_for_signal("never")

    @workflow
    async def maps_children_that_wait() -> None:
        await map_steps(paged_child_that_waits, [1, 2, 3], page_size=2)

    async with WorkflowEnvironment() as env:
        run = await env.start(maps_children_that_wait)
        await env.settle()
        await run.cancel()
        await env.settle()
        for run_id in ("test-1", "test-1~c1", "test-1~c2", "test-1~c1~c1", "test-1~c1~c2", "test-1~c2~c1"):
            assert await env.run(run_id).status() == "cancelled"


async def test_a_page_that_is_cancelled_by_itself_fails_the_map() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(maps_in_pages, [1, 2], {"page_size": 1}, "children")
        await env.settle()
        await env.run("test-1~c2").cancel()
        with pytest.raises(RunFailedError, match="RunCancelledError"):
            await run.result()


@pytest.mark.parametrize("kind", ["step", "workflow"])
async def test_a_page_whose_function_is_not_deployed_is_blocked(kind: str) -> None:
    registry: Any = definitions._steps if kind == "step" else definitions._workflows
    hidden: list[Any] = []

    @workflow
    async def maps_what_is_not_there(kind: str) -> int:
        f: Any = paged_step if kind == "step" else paged_child
        task = asyncio.create_task(map_steps(f, [1, 2], page_size=2))
        await asyncio.sleep(0)
        if not hidden:
            hidden.append(registry._versions.pop(f.name))
        return (await task).succeeded

    async with WorkflowEnvironment() as env:
        run = await env.start(maps_what_is_not_there, kind)
        await env.settle()
        record = env.world.read_run("test-1~c1")
        assert record is not None and record.status == "blocked"
        assert f"there is no {kind} 'paged_{'step' if kind == 'step' else 'child'}'" in (record.blocked_reason or "")
        registry._versions[hidden[0][1].name] = hidden[0]
        await Orchestrator(env.world).resume("test-1~c1")
        assert await run.result() == 2


# --- what is refused ---


@workflow
async def paged_pair(n: int, other: int) -> None: ...


async def plain(n: int) -> int:
    return n


@workflow
async def maps_what_is_refused(case: str) -> None:
    f, items, options = REFUSED[case][0]
    await map_steps(f, items, **options)


REFUSED: dict[str, tuple[tuple[Any, Any, dict[str, Any]], str]] = {
    "function": ((plain, [1], {"page_size": 1}), "it takes a @step or a @workflow, which plain is not"),
    "lambda": ((lambda n: paged_step(n), [1], {"page_size": 1}), "which <lambda> is not"),
    "options": (
        (paged_step.options(timeout="1m"), [1], {"page_size": 1}),
        r"calls paged_step by its name, without options\(...\): give them to the decorator, or map with a @workflow",
    ),
    "parameters": ((paged_pair, [1], {"page_size": 1}), r"paged_pair\(\) missing a required argument: 'other'"),
    "set": ((paged_step, {1, 2}, {"page_size": 1}), "pass sorted"),
    "zero": ((paged_step, [1], {"page_size": 0}), r"page_size=...\) must be an integer of at least 1"),
    "large": ((paged_step, [1], {"page_size": 10_001}), r"page_size=...\) must be at most 10,000"),
    "pages": ((paged_step, [1], {"pages": 2}), r"map_steps\(pages=...\) .* needs page_size"),
    "no pages": ((paged_step, [1], {"pages": 0, "page_size": 1}), r"pages=...\) must be an integer of at least 1"),
    "many": (
        (paged_step, range(5_001), {"page_size": 1}),
        r"map_steps\(page_size=1\) would make more than 5,000 pages: page_size=2 would fit",
    ),
    "items": ((paged_step, ["x"], {"page_size": 1}), "int"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_is_refused_at_once(case: str) -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(maps_what_is_refused, case)
        with pytest.raises(RunFailedError, match=REFUSED[case][1]):
            await run.result()
        assert not any(isinstance(event, ChildStarted) for event in env.world.load_history(run.id))


async def test_too_many_pages_of_a_source_say_what_would_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MAX_PAGES", 3)
    path = tmp_path / "lines"
    path.write_text("1\n" * 100)
    async with WorkflowEnvironment() as env:
        with pytest.raises(RunFailedError, match=r"more than 3 pages: page_size=34 would fit"):
            await (await env.start(maps_lines, path.as_uri())).result()
        monkeypatch.setattr(paging, "MAX_PAGE_SIZE", 30)
        with pytest.raises(RunFailedError, match="more than 3 pages: divide the items, and map over the parts"):
            await (await env.start(maps_lines, path.as_uri())).result()


async def test_pages_need_a_workflow() -> None:
    with pytest.raises(OutsideError, match=r"map_steps\(page_size=...\) only works inside a workflow"):
        await map_steps(paged_step, [1], page_size=1)


async def test_a_page_is_not_started_by_others(tmp_path: Path) -> None:
    """Who may start runs is not to read what steps may read."""
    page = {"first": 0, "count": 1, "items": [1]}
    limits = {"concurrency": None, "may_fail": 0, "kept": 1}
    async with WorkflowEnvironment() as env:
        run = await Orchestrator(env.world).start_workflow(
            "page", "worldflow.map_page", {"function": {"step": "paged_fatal"}, "page": page, "limits": limits}
        )
        await env.settle()
        with pytest.raises(RunFailedError, match=r"is started by map_steps\(\) only"):
            await run.result()
