"""Items: fields under a key, written on a condition on what is stored. A World stores them, this package says what for.

The newest generation of a run and who holds a hook's token are here; outcomes, claims and heartbeats of steps are in
`ledger.py`, those of hooks in `hook_beats.py`, schedules in `schedules.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from worldflow import clock
from worldflow.worlds.records import HookRecord

Item = Mapping[str, Any]
"""Fields of text and whole numbers. After `expires_at`, in seconds since 1970, a World may remove it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What is stored is as expected if any of these holds."""

    absent: bool = False
    """There is no such item."""
    field: str = ""
    """The field that the others look at."""
    one_of: Sequence[Any] = ()
    below: int | None = None

    def holds(self, stored: Item | None) -> bool:
        if stored is None:
            return self.absent
        value = stored.get(self.field)
        return value in self.one_of or (self.below is not None and value is not None and value < self.below)


ABSENT = Expected(absent=True)


class Items(ABC):
    """The items of a World."""

    @abstractmethod
    def get_item(self, key: str) -> Item | None:
        """The item of a key. A consistent read."""

    @abstractmethod
    def put_item(self, key: str, item: Item | None, expected: Expected | None = None) -> bool:
        """Replaces an item, or removes it with None, if what is stored is as expected. Returns whether it was."""

    @abstractmethod
    def update_item(self, key: str, fields: Item, defaults: Item) -> Item:
        """Sets fields of an item, and those of `defaults` that it lacks. Returns the whole item. One atomic write."""

    @abstractmethod
    def list_items(self, prefix: str, limit: int, after: str) -> Sequence[Item]:
        """The first items whose keys begin with `prefix` and are greater than `prefix + after`, by their keys.

        prefix: that of schedules.
        """

    def now(self) -> datetime:
        """The time, in UTC."""
        return clock.now()

    def together(self) -> AbstractContextManager[object]:
        """Around writes of this thread that belong together. Where a World can, they become durable at once, and if an
        exception leaves the block, none of them does.
        """
        return nullcontext()


# --- generations: the greater number wins ---


def generation_key(base: str) -> str:
    return f"generation#{base}"


def put_generation(world: Items, base: str, number: int) -> None:
    """Says that generation `number` of a run is the newest, unless a newer one is known."""
    expected = Expected(absent=True, field="number", below=number)
    world.put_item(generation_key(base), {"number": number}, expected)


def get_generation(world: Items, base: str) -> int:
    """The number of the newest generation of a run; 1 if there is one only. A consistent read."""
    item = world.get_item(generation_key(base))
    return int(item["number"]) if item else 1


# --- hooks: the token stays with its holder ---


def _hook_key(token: str) -> str:
    return f"hook#{token}"


def put_hook(world: Items, hook: HookRecord, holder: str | None = None) -> bool:
    """Stores who holds a token, if no run holds it, or if this one or `holder` does. Returns whether it is stored."""
    item = {"hook": hook.model_dump_json(exclude_none=True), "holder": hook.run_id}
    expected = Expected(absent=True, field="holder", one_of=(hook.run_id, holder or hook.run_id))
    return world.put_item(_hook_key(hook.token), item, expected)


def get_hook(world: Items, token: str) -> HookRecord | None:
    """Who holds a token. A consistent read."""
    item = world.get_item(_hook_key(token))
    return HookRecord.model_validate_json(item["hook"]) if item else None


def delete_hook(world: Items, token: str, run_id: str) -> None:
    """Releases a token, if the run `run_id` holds it."""
    world.put_item(_hook_key(token), None, Expected(absent=True, field="holder", one_of=(run_id,)))
