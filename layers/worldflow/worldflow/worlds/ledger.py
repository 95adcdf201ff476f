"""The step ledger: items that say of a step's attempt that it began, that it is alive, and its outcome.

The first outcome stands, and one claim of an attempt succeeds.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from pydantic_core import from_json

from worldflow.engine.history import Json, dump_value
from worldflow.worlds.archives import Attempt
from worldflow.worlds.items import ABSENT, Expected, Item, Items
from worldflow.worlds.messages import StepOutcome
from worldflow.worlds.records import Beat, time_text

OUTCOME_DAYS = 35
"""How long the ledger keeps a step's outcome. A copy of its task waits at most 28 days: 14 in the queue, and 14 more
among the dead letters, whose age is counted anew. Point-in-time recovery goes back 35 days: what it restores finds the
outcomes that were not yet in the history then.
"""

CLAIMS_LIMIT = 1_000
"""Claims without an answer that a process remembers. One that it has forgotten counts as begun."""

_ABANDONED, _AWAITED = 1, 2

_unanswered: WeakKeyDictionary[Items, dict[str, str]] = WeakKeyDictionary()
"""The tokens of claims whose answer was lost, the newest of each World's: nothing has begun with them."""


def step_key(run_id: str, step_id: str, attempt: int, what: str = "") -> str:
    """The key of an attempt's outcome, or of `what` else is kept of it."""
    return f"step#{run_id}#{step_id}#{attempt}" + (f"#{what}" if what else "")


def keys_of(run_id: str, attempts: Sequence[Attempt]) -> Iterator[str]:
    """The keys of what the ledger may have of attempts."""
    for attempt in attempts:
        kinds = ("", *(["claim"] if attempt.claimed else []), *(["beat"] if attempt.beats else []))
        yield from (step_key(run_id, attempt.step_id, attempt.number, kind) for kind in kinds)


def expiry(now: datetime) -> int:
    """The `expires_at` of an item that is written now."""
    return int((now + timedelta(days=OUTCOME_DAYS)).timestamp())


# --- outcomes: the first one stands ---


def put_outcome(world: Items, outcome: StepOutcome, *, replace: bool = False) -> StepOutcome:
    """Records the outcome of an attempt unless one is recorded, and returns the recorded one.

    An outcome of another call is replaced: it belongs to a future that the run's history has lost. With `replace`, any
    outcome is.
    """
    key = step_key(outcome.run_id, outcome.fact.step_id, outcome.fact.attempt)
    item = {"outcome": outcome.model_dump_json(exclude_none=True), "expires_at": expiry(world.now())}
    expected = None if replace else ABSENT
    while not world.put_item(key, item, expected):
        kept = world.get_item(key)
        if kept is None:
            expected = ABSENT
            continue
        recorded = StepOutcome.model_validate_json(kept["outcome"])
        if recorded.is_of(outcome.call):
            return recorded
        expected = Expected(field="outcome", one_of=(kept["outcome"],))
    return outcome


def get_outcome(world: Items, run_id: str, step_id: str, attempt: int) -> StepOutcome | None:
    """The outcome of an attempt, if one is recorded. A consistent read."""
    item = world.get_item(step_key(run_id, step_id, attempt))
    return StepOutcome.model_validate_json(item["outcome"]) if item else None


# --- claims: the first one wins ---


def claim(world: Items, run_id: str, step_id: str, attempt: int) -> bool:
    """Says that an attempt begins. Returns False if that was said before."""
    # Without an expiry: for as long as the run may be open. The token tells a claim from a repetition of it, by the
    # client or after its answer was lost.
    key, unanswered = step_key(run_id, step_id, attempt, "claim"), _unanswered.setdefault(world, {})
    token = unanswered.pop(key, None) or uuid.uuid4().hex
    try:
        return world.put_item(key, {"claimant": token}, Expected(absent=True, field="claimant", one_of=(token,)))
    except Exception:
        unanswered[key] = token
        if len(unanswered) > CLAIMS_LIMIT:
            unanswered.pop(next(iter(unanswered)), None)
        raise


# --- heartbeats ---


def begin(world: Items, run_id: str, step_id: str, attempt: int) -> bool:
    """Records that an attempt begins, as its first heartbeat. Details that an earlier delivery recorded are kept.

    Returns False if the attempt is abandoned.
    """
    return _beat(world, step_key(run_id, step_id, attempt, "beat"), {}, {"details": "null"})


def beat(world: Items, run_id: str, step_id: str, attempt: int, details: Json) -> bool:
    """Records a heartbeat. Returns False if the attempt is abandoned."""
    return _beat(world, step_key(run_id, step_id, attempt, "beat"), {"details": dump_value(details).decode()}, {})


def _beat(world: Items, key: str, fields: Item, defaults: Item) -> bool:
    now = world.now()
    item = world.update_item(key, {"beat_at": time_text(now), **fields, "expires_at": expiry(now)}, defaults)
    return "abandoned" not in item


def last_beat(world: Items, run_id: str, step_id: str, attempt: int) -> Beat | None:
    """The last heartbeat of an attempt. A consistent read."""
    item = world.get_item(step_key(run_id, step_id, attempt, "beat"))
    if not item or "beat_at" not in item:
        return None
    return Beat(datetime.fromisoformat(item["beat_at"]), from_json(item["details"]))


def abandon(world: Items, run_id: str, step_id: str, attempt: int, *, awaited: bool = False) -> None:
    """Marks an attempt as no longer wanted: its next heartbeat returns False, and it does not begin.

    awaited: its outcome is still awaited, until the attempt is marked again without this.
    """
    fields = {"abandoned": _AWAITED if awaited else _ABANDONED, "expires_at": expiry(world.now())}
    world.update_item(step_key(run_id, step_id, attempt, "beat"), fields, {})


def is_awaited(world: Items, run_id: str, step_id: str, attempt: int) -> bool:
    """Whether the outcome of an abandoned attempt is still awaited. A consistent read."""
    item = world.get_item(step_key(run_id, step_id, attempt, "beat"))
    return item is not None and item.get("abandoned") == _AWAITED


def is_abandoned(world: Items, run_id: str, step_id: str, attempt: int) -> bool:
    """Whether an attempt is known to be no longer wanted. A consistent read."""
    item = world.get_item(step_key(run_id, step_id, attempt, "beat"))
    return item is not None and "abandoned" in item
