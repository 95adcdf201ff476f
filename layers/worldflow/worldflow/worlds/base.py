"""What a World is: where histories, run records and messages live.

    load_history / append                        a run's history, written one commit at a time
    create_run / get_run / update_run / list_runs / walk_runs  the record of a run: its input, its status, its result
    send                                         messages to the orchestrator and to the step executor, now or later
    cancel_delayed                               takes back a message that was to be sent later
    redrive                                      puts dead letters back
    put_outcome / get_outcome / claim            the step ledger: what an attempt came to, or that one was begun
    begin / beat / last_beat                     the heartbeats of an attempt, of which the first says that it begins
    abandon / is_abandoned                       the word that an attempt is not wanted any more
    put_generation / get_generation              which generation of a run is the newest
    put_hook / get_hook / delete_hook            who holds a hook's token
    webhook_url / webhook_keys                   where webhooks are reached, and what signs their URLs
    put_payload / get_payload / copy_payload     data too large for a history or a message
    archive                                      where runs are that ended long ago (`archives.py`)
    schedules                                    what starts runs again and again (`schedules.py`)
    now                                          the time

A World is synchronous: its calls are requests to a store, made from a thread that may wait for them. Every World passes
the suite in `tests/world/`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timedelta

from worldflow import clock
from worldflow.engine.history import Attribute, Event, Json
from worldflow.worlds.archives import Archive
from worldflow.worlds.codec import PayloadCodec
from worldflow.worlds.messages import Delayed, Message, StepOutcome
from worldflow.worlds.reading import Reading
from worldflow.worlds.records import Beat, HookRecord, Redriven, RunPage, RunRecord, Status
from worldflow.worlds.schedules import Schedules
from worldflow.worlds.status_events import StatusEvent


class World(Reading, ABC):
    """Where runs live."""

    inline_limit: int = 64 * 1024
    """The most bytes of one value that history and messages carry themselves."""

    prompt: timedelta = timedelta(seconds=30)
    """A task that is received later than this after it was sent has waited for its place, and is worth the question
    whether it is still wanted. On AWS that is a request.
    """

    codec: PayloadCodec | None = None
    """What encodes the user's data on its way into all that is written."""

    # --- history ---

    @abstractmethod
    def load_history(self, run_id: str, after: int = 0, commits: int | None = None) -> list[Event]:
        """The events with a `seq` above `after`, in order. A consistent read.

        commits: reads this many commits and no more; `after` is then the end of one.
        """

    def load_commits(self, run_id: str) -> list[list[Event]]:
        """The history of a run as it was written, commit by commit."""
        commits: list[list[Event]] = []
        while commit := self.load_history(run_id, commits[-1][-1].seq if commits else 0, commits=1):
            commits.append(commit)
        return commits

    @abstractmethod
    def append(self, run_id: str, events: Sequence[Event]) -> None:
        """Adds one commit, whole or not at all. Raises `ConflictError` if its first `seq` is taken already."""

    # --- records ---

    @abstractmethod
    def create_run(self, record: RunRecord) -> RunRecord | None:
        """Stores a new record. Returns None, or the record that has this id already.

        Raises `RunArchivedError` for the id of a run that would follow one that is being archived.
        """

    @abstractmethod
    def get_run(self, run_id: str) -> RunRecord | None:
        """The record of a run. A consistent read."""

    @abstractmethod
    def update_run(self, record: RunRecord) -> None:
        """Replaces the record, unless the stored one reflects a greater `seq` or is archived: then nothing happens."""

    @abstractmethod
    def list_runs(
        self,
        *,
        status: Status | None = None,
        workflow: str | None = None,
        attributes: Mapping[str, Attribute] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RunPage:
        """Records, newest first: those of which all that is given holds, up to `limit`.

        A page may hold fewer, even none, and have a cursor: where matches are rare, they are looked for page by page.
        Raises `InvalidInputError` for a status that no run has, a limit below 1, or a cursor that is not one.
        """

    @abstractmethod
    def walk_runs(self, status: Status, created_before: datetime | None = None) -> Iterator[RunRecord]:
        """Records of a status, without inputs, results and reasons, read as they are asked for: those of a shard oldest
        first.
        """

    @abstractmethod
    def put_generation(self, base: str, number: int) -> None:
        """Says that generation `number` of a run is the newest, unless a newer one is known."""

    @abstractmethod
    def get_generation(self, base: str) -> int:
        """The number of the newest generation of a run: 1 if there is but one. A consistent read."""

    # --- hooks ---

    @abstractmethod
    def put_hook(self, hook: HookRecord, holder: str | None = None) -> bool:
        """Stores who holds a token, if nobody does or the run `holder` does. Returns whether it is stored."""

    @abstractmethod
    def get_hook(self, token: str) -> HookRecord | None:
        """Who holds a token. A consistent read."""

    @abstractmethod
    def delete_hook(self, token: str, run_id: str) -> None:
        """Gives a token free, if the run `run_id` holds it."""

    @abstractmethod
    def webhook_url(self, token: str) -> str:
        """Where requests to the webhook of this token go. Raises `ConfigurationError` where there is no such place."""

    @abstractmethod
    def webhook_keys(self) -> Sequence[bytes]:
        """The keys that webhook tokens are signed with; the first signs new ones. Raises `ConfigurationError`."""

    def newer_webhook_keys(self) -> Sequence[bytes]:
        """The keys, for a token that none of `webhook_keys` has signed, where there may be others by now."""
        return ()

    # --- messages ---

    @abstractmethod
    def send(self, messages: Sequence[Message | Delayed]) -> None:
        """Sends messages, each at least once and those of one group in order; what is `Delayed`, not before it is due.

        A message sent again within minutes, known by its `dedup_id`, may be dropped.
        """

    @abstractmethod
    def cancel_delayed(self, message: Message, deliver_at: datetime, sent_at: datetime) -> None:
        """Takes back a message that was sent at `sent_at` for later, as far as that can be done: it may still come."""

    @abstractmethod
    def redrive(self, *, discard: bool = False) -> Redriven:
        """Puts the dead letters back into the queues that they came from.

        discard: deletes those that are no messages of ours; they are left where they are unless given.
        """

    @contextmanager
    def changes(self, run_id: str) -> Iterator[Callable[[float], Awaitable[None]]]:
        """Yields what waits until the record of a run, or of one that follows it, has changed, but so many seconds at
        most. Where a world is not told of changes, it waits for so many seconds.
        """
        yield asyncio.sleep

    def announce(self, events: Sequence[StatusEvent]) -> None:
        """Tells others of what has become of runs: each at least once, if this returns. Raises what a later turn may
        not meet again; what would fail each time is logged, and no reason to stop a run.
        """

    def together(self) -> AbstractContextManager[object]:
        """Around writes of this thread that belong together. Where a world can, they become durable at once, and if an
        exception leaves the block, none of them does.
        """
        return nullcontext()

    def when_durable(self, call: Callable[[], None]) -> None:
        """Calls when what this thread has written is durable: at once, or when the block of `together` that it is in is
        left; not at all if that is left by an exception which undoes the writes.
        """
        call()

    # --- the step ledger ---

    @abstractmethod
    def put_outcome(self, outcome: StepOutcome, *, replace: bool = False) -> StepOutcome:
        """Records what an attempt came to, unless that is recorded already, and returns what is recorded.

        What is recorded of another call is replaced: it is of a future that the run's history has lost. So is, with
        `replace`, whatever is recorded.
        """

    @abstractmethod
    def get_outcome(self, run_id: str, step_id: str, attempt: int) -> StepOutcome | None:
        """What an attempt came to, if it is recorded. A consistent read."""

    @abstractmethod
    def claim(self, run_id: str, step_id: str, attempt: int) -> bool:
        """Says that an attempt begins. Returns False if that was said before."""

    @abstractmethod
    def begin(self, run_id: str, step_id: str, attempt: int) -> bool:
        """Records that an attempt begins, as its first heartbeat. What an earlier delivery of it has recorded as its
        details is kept. Returns False if the attempt is not wanted any more.
        """

    @abstractmethod
    def beat(self, run_id: str, step_id: str, attempt: int, details: Json) -> bool:
        """Records a heartbeat. Returns False if the step is not wanted any more."""

    @abstractmethod
    def last_beat(self, run_id: str, step_id: str, attempt: int) -> Beat | None:
        """The last heartbeat of an attempt. A consistent read."""

    @abstractmethod
    def abandon(self, run_id: str, step_id: str, attempt: int) -> None:
        """Says that an attempt is not wanted any more: to its next heartbeat, and to who would begin it."""

    @abstractmethod
    def is_abandoned(self, run_id: str, step_id: str, attempt: int) -> bool:
        """Whether an attempt is known not to be wanted any more. A consistent read."""

    # --- payloads ---

    @abstractmethod
    def put_payload(self, key: str, data: bytes) -> None:
        """Stores data under a key."""

    @abstractmethod
    def get_payload(self, key: str) -> bytes:
        """The data of a key."""

    @abstractmethod
    def copy_payload(self, key: str, new_key: str) -> None:
        """Stores the data of a key under another one, too. Harmless to repeat."""

    # --- the archive ---

    @property
    @abstractmethod
    def archive(self) -> Archive:
        """Where runs are that ended long ago."""

    # --- schedules ---

    @property
    @abstractmethod
    def schedules(self) -> Schedules:
        """What starts runs again and again."""

    # --- the time ---

    def now(self) -> datetime:
        """The time, in UTC."""
        return clock.now()
