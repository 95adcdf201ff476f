"""Queries: what a run's workflow publishes about itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from worldflow.engine.errors import QueryNotFoundError, RunBlockedError, WorkflowStuckError
from worldflow.engine.history import (
    Event,
    Json,
)
from worldflow.engine.values.serialization import ANYTHING
from worldflow.engine.workflow.execution import Execution
from worldflow.engine.workflow.ramps import workflow_of
from worldflow.engine.workflow.standing import standing
from worldflow.turns.generations import newest_generation, read_record
from worldflow.turns.watchdog import watched
from worldflow.turns.webhook_tokens import WebhooksOf
from worldflow.worlds import reading
from worldflow.worlds.base import World
from worldflow.worlds.histories import History
from worldflow.worlds.payloads import fetch_text
from worldflow.worlds.records import RunRecord

_TAKES_THE_CODE = (
    "; a query replays the run's history in this process, so first import the module that defines the workflow, or "
    "name it in WORLDFLOW_WORKFLOWS or, on the command line, with --workflows"
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a query came to."""

    value: Json = None
    error: BaseException | None = None
    """What the published function raised, or why its value cannot be carried."""


def query(world: World, run_id: str, name: str, arguments: Mapping[str, Any] | None = None) -> Json:
    """The value that `ask` returns. Raises what the published callable raises."""
    told = ask(world, run_id, name, arguments)
    if told.error is not None:
        raise told.error
    return told.value


def ask(world: World, run_id: str, name: str, arguments: Mapping[str, Any] | None = None) -> Told:
    """What the run's workflow has published under `name`, as JSON: of an open run, or of one that has ended.

    arguments: those of a published function, by name.
    Replays the run's history here, which takes the workflow's code, and writes nothing.

    Raises `QueryNotFoundError`, `RunNotFoundError`, `WorkflowNotFoundError`, `NonDeterminismError`,
    `WorkflowStuckError`. Arguments that the function does not accept are told as its error.
    """
    record = newest_generation(world, read_record(world, run_id))
    return _ask(world, record, reading.find_history(world, record.run_id), name, arguments)


def _ask(
    world: World, record: RunRecord, history: Sequence[Event] | None, name: str, arguments: Mapping[str, Any] | None
) -> Told:
    encoded = ANYTHING.encode(dict(arguments)) if arguments else {}
    with _replayed(world, record, history) as execution:
        if execution is not None and name in execution.published:
            return _look(execution, name, encoded)
        published = "nothing yet, as the run has not begun"
        if execution is not None:
            published = ", ".join(sorted(execution.published)) or "nothing"
    if record.status == "blocked":
        raise RunBlockedError(
            f"run {record.run_id!r} is blocked: {fetch_text(world, record.blocked_reason)}", record.run_id
        )
    raise QueryNotFoundError(f"run {record.run_id!r} has not published {name!r}; published: {published}", record.run_id)


class Awaited:
    """A value that a run has yet to publish. Replays the run's history only where it has grown since the last look."""

    def __init__(self, world: World, run_id: str, name: str) -> None:
        self._world = world
        self._run_id = run_id
        self._name = name
        self._seen: tuple[str, int] = "", 0
        """The generation, and the number of its last event."""

    def look(self) -> Told | None:
        """The value, or None. Raises as `ask` does, but `QueryNotFoundError` only for a run that has ended."""
        world = self._world
        record = newest_generation(world, read_record(world, self._run_id))
        run_id, seq = self._seen
        is_over = bool(record.ended) or record.status == "blocked"
        if record.run_id == run_id and not is_over and not world.load_history(run_id, seq, commits=1):
            return None
        history = reading.find_history(world, record.run_id)
        try:
            return _ask(world, record, history, self._name, None)
        except QueryNotFoundError:
            if is_over:
                raise
        self._seen = record.run_id, history[-1].seq if history else 0
        return None


@contextmanager
def _replayed(world: World, record: RunRecord, history: Sequence[Event] | None) -> Iterator[Execution | None]:
    """The workflow of a run where its history has led it; None for a run that has not begun."""
    if not history:
        yield None
        return
    with replayed(world, record, history) as execution:
        yield execution


@contextmanager
def replayed(
    world: World, record: RunRecord, history: Sequence[Event], advice: str = _TAKES_THE_CODE
) -> Iterator[Execution]:
    """The workflow of a run where a history, as it is stored, has led it. Raises as `ask` does.

    advice: what to do where the workflow is not known.
    """
    events = list(map(History(world).read, history))
    execution = Execution(record.run_id, workflow_of(events, advice), webhooks=WebhooksOf(world))
    try:
        watched(execution, lambda: execution.replay(events))
        yield execution
    finally:
        execution.dispose()


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the code of a run waits for."""

    where: str
    """The line that its workflow has come to."""
    signals: Sequence[str]
    calls: Sequence[str]
    """Of each task that waits for one of Worldflow's, such as `wait_for_signal('approval')`."""


def waiting(world: World, run_id: str) -> Waiting | None:
    """What the code of a run waits for, as its replay in this process shows; None for a run that has not begun.

    Raises as `ask` does.
    """
    with _replayed(world, read_record(world, run_id), reading.find_history(world, run_id)) as execution:
        if execution is None:
            return None
        calls = [task.waits_for for task in standing(execution) if task.waits_for]
        return Waiting(execution.where(), execution.inbox.awaited(), calls)


def _look(execution: Execution, name: str, arguments: Mapping[str, Json]) -> Told:
    try:
        return Told(watched(execution, lambda: execution.query(name, arguments)))
    except (WorkflowStuckError, KeyboardInterrupt):
        raise
    except BaseException as error:  # whatever the user's code raises
        return Told(error=error)
