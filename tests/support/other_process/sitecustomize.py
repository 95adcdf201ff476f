"""Imported when a Python starts that a test runs with `clock.environment()`."""

import tests.support.clock  # noqa: F401  it replaces the machine's clock
