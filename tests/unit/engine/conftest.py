from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.driver import Drive, Driver


@pytest.fixture
def drive() -> Iterator[Drive]:
    """Starts runs to be driven by hand; see `tests/support/driver.py`."""
    drivers: list[Driver] = []

    def start(workflow: Any, /, *args: Any, **kwargs: Any) -> Driver:
        driver = Driver(workflow, *args, **kwargs)
        drivers.append(driver)
        return driver

    yield start
    for driver in drivers:
        driver.close()
