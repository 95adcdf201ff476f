"""When those who have the tokens of hooks have last reported: an item, and no event."""

from __future__ import annotations

from datetime import timedelta

from worldflow.worlds.items import Items
from worldflow.worlds.records import HookRecord

KEPT = timedelta(days=35)


def put_hook_beat(world: Items, hook: HookRecord) -> None:
    """Records that whoever has a hook's token has reported."""
    now = world.now()
    beat = {"at": now.isoformat(), "expires_at": int((now + KEPT).timestamp())}
    world.put_item(_key(hook.run_id, hook.hook_id), beat)


def last_hook_beat(world: Items, run_id: str, hook_id: str) -> str | None:
    """When that was last, if ever. A consistent read."""
    item = world.get_item(_key(run_id, hook_id))
    return str(item["at"]) if item else None


def _key(run_id: str, hook_id: str) -> str:
    return f"beat#{run_id}/{hook_id}"
