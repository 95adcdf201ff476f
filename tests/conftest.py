"""What all tests share."""

from __future__ import annotations

import pytest

from worldflow.engine import definitions


@pytest.fixture(autouse=True)
def own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workflows and steps that a test defines are known by their names during that test only."""
    monkeypatch.setattr(definitions, "_workflows", dict(definitions._workflows))
    monkeypatch.setattr(definitions, "_steps", dict(definitions._steps))
