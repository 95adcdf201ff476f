"""When the next run of a throttled workflow may begin: a GCRA, whose state is one item for each key.

An item says when the next run may begin if there is no burst left, in microseconds since 1970. It is replaced on the
condition that it is as it was read, so two runs never get one place. A run that has got one and dies before it notes it
takes another: places are lost then, and none is given twice.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from worldflow.engine.errors import ConflictError
from worldflow.engine.history.limits import LAST_MOMENT, Rate
from worldflow.worlds.base import World
from worldflow.worlds.items import Expected

TRIES = 200
"""How often a place is asked for that another has just taken."""

_KEPT = 86_400
"""Seconds for which an item is kept that says nothing any more."""

_MICRO = 1_000_000


def reserve(world: World, workflow: str, key: str, rate: Rate, now: datetime) -> datetime:
    """Takes the next place, and returns the time from which it is good. Raises `ConflictError`."""
    item_key = f"throttle#{workflow}#{hashlib.sha256(key.encode()).hexdigest()[:32]}" if key else f"throttle#{workflow}"
    moment = round(now.timestamp() * _MICRO)
    interval = round(rate.interval * _MICRO)
    for _ in range(TRIES):
        item = world.get_item(item_key)
        free = int(item["free"]) if item else moment
        at = max(moment, free - (rate.burst - 1) * interval)
        following = max(free, at) + interval
        expected = Expected(absent=item is None, field="free", one_of=(free,))
        if world.put_item(item_key, {"free": following, "expires_at": following // _MICRO + _KEPT}, expected):
            return datetime.fromtimestamp(min(at / _MICRO, LAST_MOMENT), UTC)
    raise ConflictError(f"the throttle of {workflow!r}: {TRIES} writes in a row lost to other runs")
