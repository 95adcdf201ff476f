"""Refusals: the answers to updates that a workflow's validator has refused, which stand in no history.

A refusal is final: an update that is sent again with the same id gets it again.
"""

from __future__ import annotations

from worldflow.engine.history import Replied, dump_events, load_events
from worldflow.engine.ids import generation
from worldflow.worlds.base import World
from worldflow.worlds.items import ABSENT
from worldflow.worlds.ledger import expiry
from worldflow.worlds.payloads import fetch_event, stash_event


def _key(run_id: str, fact_id: str) -> str:
    return f"refused#{generation(run_id)[0]}#{fact_id}"


def put_refusal(world: World, run_id: str, reply: Replied) -> None:
    """Keeps a refusal for the sender of the update, for as long as a copy of its message may come."""
    text = dump_events([stash_event(world, run_id, reply)])
    world.put_item(_key(run_id, reply.fact_id), {"reply": text, "expires_at": expiry(world.now())}, ABSENT)


def get_refusal(world: World, run_id: str, fact_id: str) -> Replied | None:
    """The refusal of an update, if it was refused. A consistent read."""
    item = world.get_item(_key(run_id, fact_id))
    if item is None:
        return None
    (reply,) = load_events(item["reply"])
    assert isinstance(reply, Replied)
    return fetch_event(world, reply)
