from collections.abc import Iterator

import pytest

from tests.support.crashes import CrashingWorld


@pytest.fixture
def world() -> Iterator[CrashingWorld]:
    """A world in memory, whose clock stands almost still."""
    world = CrashingWorld()
    yield world
    world.close()
