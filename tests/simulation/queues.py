"""SQS: queues that hold what is sent until it is deleted."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

DEDUPLICATION = 300.0
"""Seconds for which a FIFO queue knows the ids of what it was sent."""


@dataclass(slots=True, eq=False)
class Stored:
    """A message in a queue."""

    id: str
    order: int
    body: str
    group: str
    sent_at: float
    visible_at: float
    receives: int = 0
    receipt: int = 0
    """Of the last receipt: only that one deletes it."""
    dedup_id: str = ""

    @property
    def attempt(self) -> str:
        """Which attempt a task is of; as a dead letter it may have been sent again."""
        return self.dedup_id.partition(":steps.fifo-")[0]


@dataclass
class Queue:
    """What both kinds have in common. `arn` is the source that Lambda names."""

    name: str
    visibility: float
    retention: float
    dead_letters: Queue | None = None
    max_receives: int = 5
    messages: list[Stored] = field(default_factory=list)
    expired: list[Stored] = field(default_factory=list)
    sent: list[Stored] = field(default_factory=list)
    """All that was taken, in order."""
    buried: int = 0
    _count: int = 0
    _known: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:eu-west-1:123456789012:{self.name}"

    def send(self, body: str, now: float, *, group: str = "", dedup_id: str = "", delay: float = 0.0) -> bool:
        """Takes a message. Returns whether it is kept."""
        self._count += 1
        stored = Stored(f"{self.name}-{self._count}", self._count, body, group, now, now + delay, dedup_id=dedup_id)
        self.messages.append(stored)
        self.sent.append(stored)
        return True

    def is_ready(self, now: float) -> bool:
        return any(message.visible_at <= now for message in self.messages)

    def next_time(self) -> float | None:
        """When the next message may be received, as far as is known now."""
        return min((message.visible_at for message in self.messages), default=None)

    def receive(self, now: float, limit: int, chance: random.Random) -> list[Stored]:
        """Some of the messages that may be received: they are in flight until they are deleted, or out of sight for a
        time.
        """
        raise NotImplementedError

    def delete(self, message: Stored, receipt: int, now: float) -> None:
        if message.receipt == receipt and message in self.messages:
            self.messages.remove(message)

    def _take(self, message: Stored, now: float) -> bool:
        """Puts a message in flight, or among the dead letters if it has been there too often."""
        if now - message.sent_at > self.retention:
            self.messages.remove(message)
            self.expired.append(message)
            return False
        if self.dead_letters and message.receives >= self.max_receives:
            self.messages.remove(message)
            message.visible_at = now
            self.dead_letters.messages.append(message)
            self.dead_letters.buried += 1
            return False
        message.receives += 1
        message.receipt += 1
        message.visible_at = now + self.visibility
        return True


class StandardQueue(Queue):
    """In no order, and each at least once."""

    def receive(self, now: float, limit: int, chance: random.Random) -> list[Stored]:
        visible = [message for message in self.messages if message.visible_at <= now]
        chance.shuffle(visible)
        return [message for message in visible[:limit] if self._take(message, now)]

    def show_again(self, message: Stored, now: float) -> None:
        """Delivers a message that is in flight once more."""
        message.visible_at = now


class FifoQueue(Queue):
    """In the order in which they were sent, group by group: while one of a group is in flight, no other is received."""

    def send(self, body: str, now: float, *, group: str = "", dedup_id: str = "", delay: float = 0.0) -> bool:
        since = self._known.get((group, dedup_id))
        if since is not None and now - since < DEDUPLICATION:
            return False
        self._known[group, dedup_id] = now
        return super().send(body, now, group=group, dedup_id=dedup_id)

    def held_back(self, now: float) -> Iterator[tuple[Stored, Stored]]:
        """The messages that could be received but for one of their group that is out of sight, and that one."""
        locked = {message.group: message for message in self.messages if message.visible_at > now}
        for message in self.messages:
            if message.visible_at <= now and message.group in locked:
                yield message, locked[message.group]

    def _groups(self, now: float) -> dict[str, list[Stored]]:
        """The messages that may be received, by their groups."""
        groups: dict[str, list[Stored]] = {}
        locked = {message.group for message in self.messages if message.visible_at > now}
        for message in self.messages:
            if message.group not in locked:
                groups.setdefault(message.group, []).append(message)
        return groups

    def is_ready(self, now: float) -> bool:
        locked = {message.group for message in self.messages if message.visible_at > now}
        return any(message.group not in locked for message in self.messages)

    def next_time(self) -> float | None:
        ends: dict[str, float] = {}
        for message in self.messages:
            ends[message.group] = max(ends.get(message.group, 0.0), message.visible_at)
        return min(ends.values(), default=None)

    def receive(self, now: float, limit: int, chance: random.Random) -> list[Stored]:
        groups = list(self._groups(now).values())
        chance.shuffle(groups)
        received: list[Stored] = []
        for group in groups:
            for message in group[: limit - len(received)]:
                if self._take(message, now):
                    received.append(message)
            if len(received) >= limit:
                break
        return received

    def delete(self, message: Stored, receipt: int, now: float) -> None:
        # A receipt of a FIFO queue is void when the visibility timeout has passed.
        if now < message.visible_at:
            super().delete(message, receipt, now)


def pending(queues: Sequence[Queue]) -> list[Stored]:
    return [message for queue in queues for message in queue.messages]
