from collections.abc import Iterator

import pytest

from tests.support.crashes import CrashingWorld
from worldflow.runtime.turns import Turns


@pytest.fixture
def world() -> Iterator[CrashingWorld]:
    """A world in memory, whose clock stands almost still."""
    world = CrashingWorld()
    yield world
    world.close()


@pytest.fixture
def turns(world: CrashingWorld) -> Turns:
    return Turns(world)
