"""The page of a long run says at once what its record says, and then asks for the rest."""

from __future__ import annotations

import pytest

from tests.console.conftest import Pages
from tests.support.systems import System, start
from worldflow import wait_for_signal, workflow
from worldflow.console import run_pages


@workflow
async def console_lengthy() -> None:
    await wait_for_signal("go")


def test_a_long_run_is_shown_in_two_parts(system: System, pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_pages, "LONG", -1)
    start(system, "long", console_lengthy)
    for tab in ("", "/history", "/code", "/streams", "/agents", "/family", "/cost"):
        first = pages.text(f"/runs/long{tab}", q="run")
        assert f'hx-get="/runs/long{tab}?q=run" hx-trigger="load"' in first and "Reading " in first
        rest = pages.request("GET", f"/runs/long{tab}", headers={"HX-Request": "true"}).text
        assert 'id="run"' in rest and "Reading" not in rest
