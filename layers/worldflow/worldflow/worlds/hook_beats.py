"""The last heartbeat of each hook: an item, not an event."""

from __future__ import annotations

from datetime import timedelta

from worldflow.worlds.items import Items
from worldflow.worlds.records import HookRecord

KEPT = timedelta(days=35)


def put_hook_beat(world: Items, hook: HookRecord) -> None:
    """Records a heartbeat of a hook."""
    now = world.now()
    beat = {"at": now.isoformat(), "expires_at": int((now + KEPT).timestamp())}
    world.put_item(_key(hook.run_id, hook.hook_id), beat)


def last_hook_beat(world: Items, run_id: str, hook_id: str) -> str | None:
    """The time of a hook's last heartbeat, in ISO format; None if there is none. A consistent read."""
    item = world.get_item(_key(run_id, hook_id))
    return str(item["at"]) if item else None


def _key(run_id: str, hook_id: str) -> str:
    return f"beat#{run_id}/{hook_id}"
