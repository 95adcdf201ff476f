from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.assistant import Assistant
from tests.support.systems import LocalSystem, local_system
from worldflow.mcp.server import create_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker("one_python")


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalSystem]:
    with local_system(tmp_path / "runs.db") as system:
        yield system


@pytest.fixture
def assistant(local: LocalSystem) -> Assistant:
    """One that may do everything."""
    return Assistant(create_server(local.world, allow_writes=True))


@pytest.fixture
def reader(local: LocalSystem) -> Assistant:
    """One that may only read."""
    return Assistant(create_server(local.world))
