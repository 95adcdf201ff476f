"""What a World is: where histories, run records and messages live.

    load_history / append                        a run's history, written one commit at a time
    create_run / get_run / update_run / list_runs  the record of a run: its input, its status, its result
    send                                         messages to the orchestrator and to the step executor, now or later
    put_outcome / get_outcome                    the step ledger: what a finished attempt came to
    put_payload / get_payload                    data too large for a history or a message
    now                                          the time

A World is synchronous: its calls are requests to a store, made from a thread that may wait for them. Every World passes
the suite in `tests/world/`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from worldflow.engine.errors import FieldError, InvalidInputError, RunNotFoundError
from worldflow.engine.history import Event, Failure, Json
from worldflow.worlds.messages import Message, StepOutcome
from worldflow.worlds.payloads import fetch, fetch_event

Status = Literal["pending", "running", "completed", "failed", "cancelled", "continued", "blocked"]
ENDED: frozenset[Status] = frozenset({"completed", "failed", "cancelled", "continued"})


class RunRecord(BaseModel):
    """What is known of a run without its history. `seq` is that of the history it reflects."""

    model_config = ConfigDict(extra="allow", frozen=True, ser_json_inf_nan="constants")

    run_id: str
    workflow_name: str
    status: Status = "running"
    """Never `pending`, which is derived: `running` with a history that is still empty."""
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    seq: int = 0
    input: Json = None
    result: Json = None
    error: Failure | None = None
    blocked_reason: str | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def describe(self) -> dict[str, Any]:
        """The record as JSON values, as the API and the command line show it."""
        return self.model_dump(mode="json", exclude_none=True)


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some records, newest first, without inputs, results and reasons. `cursor` asks for those that follow, if any."""

    runs: Sequence[RunRecord]
    cursor: str | None = None


def check_cursor(cursor: str) -> tuple[str, str]:
    """The time and the run id of a cursor of `list_runs`. Raises `InvalidInputError`."""
    moment, _, run_id = cursor.partition("#")
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        run_id = ""
    if not run_id:
        raise InvalidInputError(f"{cursor!r} is not a cursor", [FieldError("cursor", "must come from another page")])
    return moment, run_id


class World(ABC):
    """Where runs live."""

    inline_limit: int = 64 * 1024
    """The most bytes of one value that history and messages carry themselves."""

    # --- history ---

    @abstractmethod
    def load_history(self, run_id: str, after: int = 0, commits: int | None = None) -> list[Event]:
        """The events with a `seq` above `after`, in order. A consistent read.

        commits: reads this many commits and no more; `after` is then the end of one.
        """

    @abstractmethod
    def append(self, run_id: str, events: Sequence[Event]) -> None:
        """Adds one commit, whole or not at all. Raises `ConflictError` if its first `seq` is taken already."""

    # --- records ---

    @abstractmethod
    def create_run(self, record: RunRecord) -> RunRecord | None:
        """Stores a new record. Returns None, or the record that has this id already."""

    @abstractmethod
    def get_run(self, run_id: str) -> RunRecord | None:
        """The record of a run. A consistent read."""

    @abstractmethod
    def update_run(self, record: RunRecord) -> None:
        """Replaces the record, unless the stored one reflects a greater `seq`: then nothing happens."""

    @abstractmethod
    def list_runs(
        self, *, status: Status | None = None, workflow: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> RunPage:
        """Records, newest first. Raises `InvalidInputError` for a cursor that is not one."""

    # --- messages ---

    @abstractmethod
    def send(self, messages: Sequence[Message], deliver_at: datetime | None = None) -> None:
        """Sends messages, each at least once and those of one group in order; with `deliver_at`, not before then.

        A message sent again within minutes, known by its `dedup_id`, may be dropped.
        """

    # --- the step ledger ---

    @abstractmethod
    def put_outcome(self, outcome: StepOutcome) -> None:
        """Records what an attempt came to."""

    @abstractmethod
    def get_outcome(self, run_id: str, step_id: str, attempt: int) -> StepOutcome | None:
        """What an attempt came to, if it is recorded. A consistent read."""

    # --- payloads ---

    @abstractmethod
    def put_payload(self, key: str, data: bytes) -> None:
        """Stores data under a key."""

    @abstractmethod
    def get_payload(self, key: str) -> bytes:
        """The data of a key."""

    # --- the time ---

    def now(self) -> datetime:
        return datetime.now(UTC)

    # --- with their data ---

    def read_run(self, run_id: str) -> RunRecord:
        """The record of a run with its data; `pending` where nothing has happened yet. Raises `RunNotFoundError`."""
        record = self.get_run(run_id)
        if record is None:
            raise RunNotFoundError(run_id)
        update: dict[str, Any] = {"input": fetch(self, record.input), "result": fetch(self, record.result)}
        if record.status == "running" and not self.load_history(run_id, commits=1):
            update["status"] = "pending"
        return record.model_copy(update=update)

    def read_events(self, run_id: str, after: int = 0) -> list[Event]:
        """The events of a run with a `seq` above `after`, with their data. Raises `RunNotFoundError`."""
        events = self.load_history(run_id, after)
        if not events and self.get_run(run_id) is None:
            raise RunNotFoundError(run_id)
        return [fetch_event(self, event) for event in events]

    async def get_run_status(self, run_id: str) -> dict[str, Any]:
        """`read_run` as JSON values: `status`, `workflow_name`, `input`, `result` and the rest."""
        return (await asyncio.to_thread(self.read_run, run_id)).describe()

    async def load_events(self, run_id: str, after: int = 0) -> list[Event]:
        """`read_events`, for asyncio. Each event has `event_type`, `seq`, `at` and `payload`."""
        return await asyncio.to_thread(self.read_events, run_id, after)
