"""What all tests share."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.support import clock
from worldflow.engine import privacy
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.registry import import_failures, interceptors


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--hours", action="store_true", help="the tests marked time_of_day alone, at each of clock.INSTANTS"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.config.getoption("hours") and metafunc.definition.get_closest_marker("time_of_day"):
        metafunc.parametrize("time_of_test", clock.INSTANTS, ids=str, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Whatever is collected stays: to look for garbage in it takes a quarter of the time of collecting."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("hours"):
        config.hook.pytest_deselected(items=[item for item in items if not _belongs_to_the_hours(item)])
        items[:] = [item for item in items if _belongs_to_the_hours(item)]


def _belongs_to_the_hours(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("time_of_day")
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return marker is not None and all(parameters.get(name) in values for name, values in marker.kwargs.items())


@pytest.fixture(autouse=True)
def time_of_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test starts at the same time, or at the instant that it is given."""
    instant = getattr(request, "param", clock.Instant(clock.START))
    clock.restart(instant.at)
    with pytest.MonkeyPatch.context() as environment:
        if instant.zone:
            environment.setenv("TZ", instant.zone)
            time.tzset()
        yield
    if instant.zone:
        time.tzset()


@pytest.fixture(autouse=True)
def own_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The workflows and steps that a test defines, its interceptors, and what it fails to import, are known during that
    test only.
    """
    for registry in (definitions._workflows, definitions._steps):
        versions = {name: dict(versions) for name, versions in registry._versions.items()}
        monkeypatch.setattr(registry, "_versions", versions)
    failures, around = dict(import_failures), list(interceptors)
    yield
    interceptors[:] = around
    import_failures.clear()
    import_failures.update(failures)


@pytest.fixture(autouse=True)
def own_worlds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The LocalWorlds that a test leaves open end with it: they would decide what logs hold, and be complained of in
    whatever test the garbage collector comes to them.
    """
    worlds: weakref.WeakSet[Any] = weakref.WeakSet()
    monkeypatch.setattr(privacy, "_local", worlds)
    yield
    for world in list(worlds):
        world.close()
