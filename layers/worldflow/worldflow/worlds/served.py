"""What a worker needs of the World that it serves: beside the World's contract, where no Lambda functions serve it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from worldflow.worlds.base import World
from worldflow.worlds.messages import Message

Queue = Literal["runs", "steps", "dead"]
"""Messages that were rejected too often are in the queue of the dead."""

Durable = Literal["first", "next", "later"]
"""When a commit is on the disk.

first: before any reader sees it.
next: before its caller continues. Readers may see it earlier: safe only for data that nobody but the worker reads,
    since whatever it commits in response follows this in the log.
later: with the commit after it. For what may be lost in a power failure: a message that was received or acknowledged
    then comes again.
"""


REDELIVERY_DELAY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it was received, for the `receives`th time."""

    id: int
    message: Message
    receives: int
    arrived_at: datetime
    """When it was sent, or was due if it was sent to come later."""

    @property
    def redelivered(self) -> bool:
        return self.receives > 1


class Served(World):
    """A World with one worker at a time."""

    path: str
    on_sent: Callable[[Collection[Queue]], None] | None
    """Called with the queues to which messages were sent from this process, in the thread that sent them."""

    @abstractmethod
    def serving(self) -> AbstractContextManager[None]:
        """Makes this process the worker. Raises `ConfigurationError` if another process is."""

    @abstractmethod
    def is_served(self) -> bool:
        """Whether a process is the worker, as far as can be told."""

    @abstractmethod
    def receive(self, queue: Queue, limit: int = 100, only: Collection[str] | None = None) -> list[Delivery]:
        """The oldest messages of one group of which none is in flight; of the queue of steps, one of each of several
        groups. They are in flight from now on.

        only: tasks of these step queues.
        """

    @abstractmethod
    def receive_groups(
        self, queue: Queue, groups: int, limit: int = 100, *, handled: Sequence[Delivery] = ()
    ) -> list[list[Delivery]]:
        """The oldest messages of several groups of which none is in flight, up to `limit` of each.

        handled: what is acknowledged before.
        """

    @abstractmethod
    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """The messages were handled, and are gone."""

    @abstractmethod
    def reject(self, deliveries: Sequence[Delivery]) -> None:
        """The messages could not be handled: they come again, or are dead when they have come too often."""

    @abstractmethod
    def put_back(self, deliveries: Sequence[Delivery], delay: timedelta = REDELIVERY_DELAY) -> None:
        """The messages were not handled, for a reason that is not theirs: they come again, however often."""

    @abstractmethod
    def together(self, *, durable: Durable = "first") -> AbstractContextManager[object]:
        """As `World.together`. durable: when what is written is on the disk."""
