"""A reader that comes back with an offset looks behind it once, and then only for what is new."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from worldflow.engine.history import Event, StreamRows
from worldflow.engine.ids import stream_key
from worldflow.worlds import LocalWorld
from worldflow.worlds.streams import Log, StreamReader


class World(LocalWorld):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def load_history(self, run_id: str, after: int = 0, commits: int | None = None) -> list[Event]:
        self.asked.append(after)
        return super().load_history(run_id, after, commits)


@pytest.fixture
def world() -> Iterator[World]:
    with closing(World()) as world:
        log = Log(world, stream_key("r", "told"))
        for number in range(3):
            log.append([StreamRows(values=[number, number], count=2, total=4)])
        world.asked.clear()
        yield world


def test_what_is_behind_the_offset_is_read_once(world: World) -> None:
    reader = StreamReader(world, "r", "told", after=6)
    assert [reader.read() for _ in range(3)] == [[], [], []]
    assert world.asked == [0, 6, 6]


def test_an_offset_within_a_commit(world: World) -> None:
    reader = StreamReader(world, "r", "told", after=3)
    assert [item.offset for item in reader.read()] == [4, 5, 6]
    assert reader.read() == []
    assert world.asked == [0, 6]
