"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import clock
from worldflow.engine import definitions
from worldflow.runtime.loading import import_failures


@pytest.fixture(autouse=True)
def time_of_test() -> None:
    """Every test starts at the same time."""
    clock.restart()


@pytest.fixture(autouse=True)
def own_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The workflows and steps that a test defines, and what it fails to import, are known during that test only."""
    for registry in (definitions._workflows, definitions._steps):
        versions = {name: dict(versions) for name, versions in registry._versions.items()}
        monkeypatch.setattr(registry, "_versions", versions)
    failures = dict(import_failures)
    yield
    import_failures.clear()
    import_failures.update(failures)
