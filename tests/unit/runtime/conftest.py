import logging
from collections.abc import Iterator

import pytest

from tests.support.crashes import CrashingWorld
from tests.support.trouble import ran, troubles
from worldflow.turns.turns import Turns


@pytest.fixture
def world() -> Iterator[CrashingWorld]:
    """A world in memory, whose clock stands almost still."""
    world = CrashingWorld()
    yield world
    world.close()


@pytest.fixture
def turns(world: CrashingWorld) -> Turns:
    return Turns(world)


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `shaky` fails of; nothing once it is cleared. See `tests/support/trouble.py`."""
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)
    troubles[:] = ["trouble"]
    ran.clear()
    return troubles


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deaths of processes are not logged."""
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)
