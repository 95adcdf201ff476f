"""docs/how-to.md: each piece of code, run."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

import worldflow
from tests.docs.pages import blocks, module, own_page
from worldflow import step, workflow
from worldflow.runtime import Orchestrator
from worldflow.testing import WorkflowEnvironment

pytestmark = pytest.mark.usefixtures(own_page.__name__)

(LIMITS, POLL, REMIND, UNDO, ITEMS, SOME_FAIL, CHANGES, ONCE, SIGNAL, TEST) = blocks("docs/how-to.md")


def page(tmp_path: Path, *code: str, **names: Any) -> Any:
    """The code with all that it may import, and the functions that it calls."""
    imported = {name: getattr(worldflow, name) for name in worldflow.__all__}
    shared = {"asyncio": asyncio, "suppress": suppress, "AsyncExitStack": AsyncExitStack, "Orchestrator": Orchestrator}
    return module(tmp_path, *code, **imported, **shared, **names)


async def outcome(workflow: Any, *args: Any) -> Any:
    async with WorkflowEnvironment() as env:
        return await (await env.start(workflow, *args)).result()


async def test_a_service_that_limits_requests(tmp_path: Path) -> None:
    busy = SimpleNamespace(status=429, headers={"Retry-After": "120"})
    answers = [busy, busy, SimpleNamespace(status=200, text="hello")]

    async def get(url: str) -> Any:
        return answers.pop(0)

    fetch = page(tmp_path, LIMITS, http=SimpleNamespace(get=get)).fetch

    @workflow
    async def fetch_one() -> str:
        return str(await fetch("https://example.com"))

    async with WorkflowEnvironment() as env:
        run = await env.start(fetch_one)
        await env.advance("3m")
        assert await run.status() == "running"
        assert await run.result() == "hello"


async def test_polling(tmp_path: Path) -> None:
    states = ["running"] * 9 + ["done"]

    @step
    async def job_state(job_id: str) -> str:
        return states.pop(0)

    assert await outcome(page(tmp_path, POLL, job_state=job_state).run_job, "7") == "done"


async def test_reminding(tmp_path: Path) -> None:
    reminders = []

    @step
    async def remind(order_id: str) -> None:
        reminders.append(order_id)

    async with WorkflowEnvironment() as env:
        run = await env.start(page(tmp_path, REMIND, remind=remind).approve, "7")
        await env.advance("50h")
        await run.signal("approval", "yes")
        assert await run.result() == "yes"
    assert reminders == ["7"] * 3


async def test_undoing_and_its_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flights = SimpleNamespace(cancelled=[])
    hotels = SimpleNamespace(book=lambda city: f"hotel in {city}")

    @step
    def book_flight(city: str) -> str:
        return f"flight to {city}"

    @step
    def cancel_flight(flight: str) -> None:
        flights.cancelled.append(flight)

    @step
    def book_hotel(city: str) -> str:
        booked: str = hotels.book(city)
        return booked

    steps = {"book_flight": book_flight, "cancel_flight": cancel_flight, "book_hotel": book_hotel}
    tools = {"WorkflowEnvironment": WorkflowEnvironment, "pytest": pytest, "Mock": Mock}
    shown = page(tmp_path, UNDO, TEST, flights=flights, hotels=hotels, **steps, **tools)
    assert await outcome(shown.book_trip, "Graz") == "flight to Graz, hotel in Graz"
    assert flights.cancelled == []
    await shown.test_a_flight_is_cancelled_when_there_is_no_hotel(monkeypatch)


async def test_many_items(tmp_path: Path) -> None:
    @step(inline=True)
    def load(key: str) -> int:
        return 1

    keys = [str(n) for n in range(250)]
    assert await outcome(page(tmp_path, ITEMS, load=load).import_all, keys) == 250


async def test_some_that_fail(tmp_path: Path) -> None:
    @step
    def mail(address: str) -> None:
        if address == "nobody":
            raise worldflow.FatalError("no such address")

    assert await outcome(page(tmp_path, SOME_FAIL, mail=mail).notify_all, ["ada", "nobody"]) == ["nobody"]


async def test_the_last_of_many_changes(tmp_path: Path) -> None:
    indexed = []

    @step
    def index(document: str) -> None:
        indexed.append(document)

    async with WorkflowEnvironment() as env:
        run = await env.start(page(tmp_path, CHANGES, index=index).index_document, "7")
        for _ in range(3):
            await env.advance("20s")
            await run.signal("changed")
        assert indexed == []
        assert await run.result() == 4
    assert indexed == ["7"]


async def test_a_report_that_starts_once(tmp_path: Path) -> None:
    @workflow
    async def report(customer: str) -> str:
        return customer

    start = page(tmp_path, ONCE, report=report).start_report
    async with WorkflowEnvironment() as env:
        started = [await start(Orchestrator(env.world), "ada", "2026-11-29") for _ in range(2)]
        assert started == ["report-ada-2026-11-29"] * 2
        assert len(env.world.list_runs().runs) == 1


async def test_a_run_signals_another(tmp_path: Path) -> None:
    @workflow
    async def listener() -> str:
        return await worldflow.wait_for_signal("news", str)

    async with WorkflowEnvironment() as env:
        tell = page(tmp_path, SIGNAL, AWSWorld=lambda: env.world).tell

        @workflow
        async def teller(run_id: str) -> None:
            await tell(run_id, "good ones")

        listening = await env.start(listener)
        await (await env.start(teller, listening.id)).result()
        assert await listening.result() == "good ones"
