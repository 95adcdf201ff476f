"""Two processes change which workflows are paused at the same moment: both changes count."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from worldflow.worlds import LocalWorld, workflow_pauses
from worldflow.worlds.items import Expected, Item


@pytest.mark.one_python
@pytest.mark.parametrize("write", range(workflow_pauses.COPIES), ids=lambda number: f"before write {number}")
def test_another_change_comes_before_each_of_its_writes(monkeypatch: pytest.MonkeyPatch, write: int) -> None:
    with closing(LocalWorld(":memory:")) as world:
        put, interfered = world.put_item, before(write, lambda: workflow_pauses.pause(world, "other", None, None))

        def interrupted(key: str, item: Item | None, expected: Expected | None = None) -> bool:
            interfered()
            return put(key, item, expected)

        monkeypatch.setattr(world, "put_item", interrupted)
        workflow_pauses.pause(world, "one", None, None)
        for copy in range(workflow_pauses.COPIES):
            assert workflow_pauses.pauses_in(world.get_item(f"pauses#{copy}")).keys() == {"one", "other"}


def before(number: int, act: Callable[[], object]) -> Callable[[], None]:
    """What acts when it is called for the time of this number."""
    calls: list[None] = []

    def called() -> None:
        calls.append(None)
        if len(calls) == number + 1:
            act()

    return called
