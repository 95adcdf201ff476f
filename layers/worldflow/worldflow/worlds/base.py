"""What a World is: where histories, run records and messages live.

    load_history / append                        a run's history, written one commit at a time
    create_run / get_run / update_run            the record of a run: its input, its status, its result
    list_runs / count_runs / walk_runs           records of many runs
    send / cancel_delayed                        messages to the orchestrator and to the step executor, now or later
    get_item / put_item / update_item            small state under a key: `items.py`, `ledger.py`
    list_items                                   schedules: `schedules.py`
    arm_schedule / disarm_schedule               when schedules are due
    put_payload / get_payload                    data too large for a history or a message
    archive                                      where runs are that ended long ago: `archives.py`

A World is synchronous: its calls are requests to a store, made from a thread that may wait for them. Applications read
through `Orchestrator` and `RunHandle`, which are asynchronous, or through `Orchestrator.sync`. Of a World's own methods
only `get_run_status` and `load_events` are asynchronous. Every World passes the suite in `tests/world/`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol, Unpack, runtime_checkable

from worldflow.engine.history import Event
from worldflow.worlds.archives import Archive
from worldflow.worlds.codec import PayloadCodec
from worldflow.worlds.items import Item
from worldflow.worlds.messages import Delayed, Message
from worldflow.worlds.reading import Reading
from worldflow.worlds.records import Redriven, RunPage, RunRecord, Status, check_cursor, check_limit
from worldflow.worlds.schedules import Schedules
from worldflow.worlds.status_events import StatusEvent
from worldflow.worlds.webhooks import NoWebhooks, Webhooks

if TYPE_CHECKING:
    from worldflow.worlds.filters import Filters, Selection


class World(Reading, Schedules, ABC):
    """Where runs live."""

    inline_limit: int = 64 * 1024
    """The most bytes of one value that history and messages carry themselves."""

    prompt: timedelta = timedelta(seconds=30)
    """A task that is received later than this after it was sent has waited for its place, and is worth the question
    whether it is still wanted. On AWS that is a request.
    """

    codec: PayloadCodec | None = None
    """What encodes the user's data on its way into all that is written."""

    step_queues: Collection[str] | None = None
    """The step queues besides the default one. None: of any name."""

    webhooks: Webhooks = NoWebhooks()
    """Where webhooks are reached, and what signs their tokens."""

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

    def get_run_and_item(self, run_id: str, key: str) -> tuple[RunRecord | None, Item | None]:
        """The record of a run and an item, in one request if the World can. Consistent reads."""
        return self.get_run(run_id), self.get_item(key)

    @abstractmethod
    def update_run(self, record: RunRecord) -> None:
        """Replaces the record, unless the stored one reflects a greater `seq` or is archived: then nothing happens."""

    def list_runs(self, *, limit: int = 50, cursor: str | None = None, **filters: Unpack[Filters]) -> RunPage:
        """Records, newest first: those of which all that is given holds, up to `limit`.

        A page may hold fewer, even none, and have a cursor: where matches are rare, they are looked for page by page.
        Only a status and a time of start are looked up; all else is compared with each run in between. Children are
        read one by one, and `limit` is then only about how many there are.
        Raises `InvalidInputError` for a status that no run has, a time without a time zone, a limit below 1, or a
        cursor that is not one.
        """
        from worldflow.worlds.children import page_of_children  # which no turn needs
        from worldflow.worlds.filters import Selection

        check_limit(limit)
        if cursor:
            check_cursor(cursor)
        selection = Selection.of(filters)
        read = self.page_of_runs if selection.parent is None else partial(page_of_children, self)
        return read(selection, limit, cursor)

    @abstractmethod
    def page_of_runs(self, selection: Selection, limit: int, cursor: str | None) -> RunPage:
        """A page of `list_runs`, whatever the runs' parents are."""

    def count_runs(self, *, at_most: int | None = None, **filters: Unpack[Filters]) -> int:
        """How many runs `list_runs` finds; with `at_most`, no more than that are counted.

        Reads all that a list of them would.
        """
        number, cursor = 0, None
        while at_most is None or number < at_most:
            page = self.list_runs(limit=1_000, cursor=cursor, **filters)
            number, cursor = number + len(page.runs), page.cursor
            if cursor is None:
                break
        return number if at_most is None else min(number, at_most)

    @abstractmethod
    def walk_runs(self, status: Status, created_before: datetime | None = None) -> Iterator[RunRecord]:
        """Records of a status, with the fields of `LISTED`, read as they are asked for: those of a shard oldest
        first.
        """

    # --- messages ---

    @abstractmethod
    def send(self, messages: Sequence[Message | Delayed]) -> None:
        """Sends messages, each at least once and those of one group in order; what is `Delayed`, not before it is due.

        A message sent again within minutes, known by its `dedup_id`, may be dropped.
        """

    @abstractmethod
    def cancel_delayed(self, message: Message, deliver_at: datetime, sent_at: datetime) -> None:
        """Cancels, if possible, a delayed message that was sent at `sent_at`: it may still be delivered."""

    @contextmanager
    def changes(self, run_id: str) -> Iterator[Callable[[float], Awaitable[None]]]:
        """Yields an async function that waits until the record of the run, or of a run that follows it, changes, for at
        most the given number of seconds. With the key of a stream, also until something is written to that. A World
        without notifications waits for that time.
        """
        yield asyncio.sleep

    def announce(self, events: Sequence[StatusEvent]) -> None:
        """Publishes status events of runs, each at least once if this returns. Raises errors that a later turn may not
        meet; errors that would recur are logged and do not stop a run.
        """

    def when_durable(self, call: Callable[[], None]) -> None:
        """Calls when what this thread has written is durable: at once, or when the block of `together` that it is in is
        left; not at all if that is left by an exception which undoes the writes.
        """
        call()

    # --- payloads ---

    @abstractmethod
    def put_payload(self, key: str, data: bytes) -> None:
        """Stores data under a key."""

    @abstractmethod
    def get_payload(self, key: str) -> bytes:
        """The data of a key."""

    def copy_payload(self, key: str, new_key: str) -> None:
        """Stores the data of a key under another one, too. Harmless to repeat."""
        self.put_payload(new_key, self.get_payload(key))

    # --- the archive ---

    @property
    @abstractmethod
    def archive(self) -> Archive:
        """Where runs are that ended long ago."""


@runtime_checkable
class Redrives(Protocol):
    """A World whose dead letters an operator can put back."""

    def redrive(self, *, discard: bool = False) -> Redriven:
        """Puts the dead letters back into the queues that they came from.

        discard: deletes dead letters that are not Worldflow messages. Default: they are left in place.
        """
