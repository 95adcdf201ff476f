"""What all tests share."""

from __future__ import annotations

import pytest

from worldflow.engine import definitions


@pytest.fixture(autouse=True)
def own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workflows and steps that a test defines are known by their names during that test only."""
    for registry in (definitions._workflows, definitions._steps):
        versions = {name: dict(versions) for name, versions in registry._versions.items()}
        monkeypatch.setattr(registry, "_versions", versions)
