"""What steps have asked AWS for to write streams: told from the streams, since the history does not have it.

What the workflow itself writes is decided in its history, and counted there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from worldflow.costs.metering import MeteredWorld
from worldflow.engine.history import (
    Event,
    StreamClosed,
    StreamRow,
    StreamRows,
    StreamRowsEnd,
    StreamTaken,
    StreamWritten,
)
from worldflow.engine.ids import generation, stream_key
from worldflow.turns.streams import REMEMBER_EVERY, WANTED_EVERY
from worldflow.worlds import ledger, streams
from worldflow.worlds.payloads import size_of_reference

StreamCommits = Mapping[str, Sequence[Sequence[StreamRow]]]
"""The streams of a run by name, commit by commit."""

_Row = StreamRows | StreamTaken | StreamClosed


@dataclass(slots=True)
class _Writer:
    """An execution of a step, as far as it has written."""

    asked_at: datetime
    commits: int = 0


def count_streams(world: MeteredWorld, run_id: str, written: StreamCommits, say: Callable[[str], None]) -> None:
    """Counts the requests of the steps of this generation.

    say: is told what is not counted.
    """
    for name, commits in written.items():
        world.forget_commits(stream_key(run_id, name))
        stream = _Stream(world, run_id, name)
        for rows in commits:
            stream.commit(rows)
        if len(stream.writers) > 1:
            say("requests of several writers that meet in one stream")


def with_values(event: StreamWritten) -> StreamWritten:
    """What a workflow writes, with values of that size in place of a reference to them: the act writes them."""
    size = size_of_reference(event.values)
    if not size:
        return event
    return event.model_copy(update={"values": ["x" * (size // event.count - 3)] * event.count})


class _Stream:
    def __init__(self, world: MeteredWorld, run_id: str, name: str) -> None:
        self.writers: set[str] = set()
        """Of each step one, however often it was tried, and the workflow."""
        self._world = world
        self._run_id = run_id
        self._name = name
        self._generation = generation(run_id)[1]
        self._executions: dict[str, _Writer] = {}

    def commit(self, rows: Sequence[StreamRow]) -> None:
        row = rows[0]
        assert not isinstance(row, StreamRowsEnd)
        self.writers.add(row.step_id or "")
        key = stream_key(self._run_id, self._name)
        if row.step_id is None or row.generation != self._generation:
            self._world.remember_commit(key, rows)
            return
        self._world.moment = row.at
        execution = self._executions.get(row.writer) or self._open(row, key)
        if row.at - execution.asked_at >= WANTED_EVERY:
            execution.asked_at = row.at
            ledger.is_abandoned(self._world, self._run_id, row.step_id, row.attempt)
        self._world.append(key, cast("Sequence[Event]", rows))
        held = [one for one in rows if isinstance(one, StreamRows)]
        for one in held:
            if size_of_reference(one.values):
                self._world.access.s3.put_object()
        execution.commits += bool(held)
        if isinstance(rows[-1], StreamClosed) or (held and execution.commits % REMEMBER_EVERY == 0):
            streams.remember(self._world, self._run_id, self._name, streams.Log(self._world, key))

    def _open(self, row: _Row, key: str) -> _Writer:
        step = row.step
        is_first = row.attempt == 1 and not isinstance(row, StreamTaken)
        mark = None if is_first else f"{row.generation}.{row.attempt}.{row.writer}"
        streams.register(self._world, self._run_id, self._name, step, mark)
        if not is_first:
            self._world.load_history(key)
        self._executions[row.writer] = _Writer(row.at)
        return self._executions[row.writer]
