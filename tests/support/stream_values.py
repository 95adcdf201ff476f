"""Streams in tests: what a reader has in the end, and writers that write at once, in the thread of their step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

import pytest

from worldflow.engine.history import StreamItem, StreamReset
from worldflow.turns import streams as writing
from worldflow.turns.step_runner import StepRunner
from worldflow.worlds import World
from worldflow.worlds.streams import StreamReader


class AtOnce:
    """In place of threads: what is submitted is done when `submit` returns."""

    def submit(self, call: Callable[[], None]) -> Future[None]:
        done: Future[None] = Future()
        call()
        done.set_result(None)
        return done


def write_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes each value a commit of its own, which is made before `write` returns."""
    monkeypatch.setattr(StepRunner, "_threads_of_streams", lambda _: AtOnce())
    monkeypatch.setattr(writing, "INTERVAL", 0.0)


def all_items(world: World, run_id: str, name: str, after: int = 0) -> list[Any]:
    """What there is of a stream by now."""
    reader, items = StreamReader(world, run_id, name, after), []
    while page := reader.read():
        items += page
    return items


def followed(world: World, run_id: str, name: str) -> list[Any]:
    """What there is of a stream of a run that has ended, wherever it is stored."""
    reader = StreamReader(world, run_id, name)
    return reader.read() if reader.is_over() else []


def what_stands(items: Iterable[StreamItem[Any] | StreamReset]) -> list[StreamItem[Any]]:
    """What is not void."""
    kept: list[StreamItem[Any]] = []
    for item in items:
        if isinstance(item, StreamReset):
            kept = [one for one in kept if one.step_id != item.step_id or one.offset < item.since]
        else:
            kept.append(item)
    return kept


def values_that_stand(world: World, run_id: str, name: str) -> list[Any]:
    return [item.value for item in what_stands(all_items(world, run_id, name))]
