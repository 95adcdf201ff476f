"""The acts of hooks: holding their tokens, and releasing them."""

from __future__ import annotations

from worldflow.engine.history import HookConflicted, HookCreated
from worldflow.engine.ids import generation
from worldflow.turns.acts.run import ActingRun
from worldflow.worlds import items
from worldflow.worlds.messages import FactArrived, Outgoing
from worldflow.worlds.records import HookRecord


def hold(run: ActingRun, hook: HookCreated) -> list[Outgoing]:
    """Makes the run the holder of a hook's token, unless another live run is."""
    record = HookRecord(
        token=hook.token,
        run_id=run.id,
        hook_id=hook.hook_id,
        metadata=hook.metadata,
        webhook=hook.webhook,
        answers=hook.answers,
    )
    before: str | None = None
    while not items.put_hook(run.world, record, before):
        holder = items.get_hook(run.world, hook.token)
        if holder is None:
            continue
        if _is_live(run, holder.run_id):
            return [FactArrived(run_id=run.id, fact=HookConflicted(hook_id=hook.hook_id))]
        before = holder.run_id
    return []


def _is_live(run: ActingRun, run_id: str) -> bool:
    (base, number), (own_base, own_number) = generation(run_id), generation(run.id)
    if base == own_base and number < own_number:
        return False  # a generation before, which may not have said yet that it has ended
    record = run.world.get_run(run_id)
    return record is not None and not record.ended


def release(run: ActingRun, hook: HookCreated) -> list[Outgoing]:
    """Releases a hook's token, unless another hook of the run has it."""
    if hook.token not in {other.token for other in run.state.hooks.values()}:
        items.delete_hook(run.world, hook.token, run.id)
    return []
