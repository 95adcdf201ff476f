import pytest

from tests.infrastructure.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Stack:
    return Stack()
