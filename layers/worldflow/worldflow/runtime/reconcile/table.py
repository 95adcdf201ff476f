"""What else is in the table of runs: hooks, generations, schedules, attempts and requests."""

from __future__ import annotations

from typing import Any

from worldflow.engine.history import HookCreated, StepScheduled
from worldflow.engine.history.state import RunState
from worldflow.engine.ids import generation, generation_id
from worldflow.runtime.reconcile.work import Found, Work, is_whole
from worldflow.worlds import items
from worldflow.worlds.archives import Attempt
from worldflow.worlds.records import HookRecord, RunRecord
from worldflow.worlds.streams import forget_places


class Table:
    def __init__(self, work: Work, found: Found) -> None:
        self._work = work
        self._found = found
        self.lost: list[RunRecord] = []
        """Of runs without a history."""
        self.generations: dict[str, int] = {}
        """The newest generation of each run, as the table says."""
        self.schedule_ids: set[str] = set()
        self._held: set[str] = set()

    def read(self) -> None:
        for _ in self._work.side_by_side(self._item, self._work.tables.items()):
            pass

    def hold_hooks(self) -> None:
        """Gives each token that nobody holds to the run whose history holds it."""
        for token, holders in self._found.hooks.items():
            if token not in self._held:
                _, run_id, hook = min(holders, key=lambda holder: holder[:2])
                self._work.done("hooks_held", token)
                if not self._work.dry_run:
                    items.put_hook(self._work.world, _hook_record(run_id, hook))

    def _item(self, item: dict[str, Any]) -> None:
        kind, _, rest = str(item["run_id"]).partition("#")
        if not rest:
            self._record(item)
        elif kind == "generation":
            with self._work.lock:
                self.generations[rest] = item["number"]
        elif kind == "hook":
            self._hook(HookRecord.model_validate_json(item["hook"]))
        elif kind == "schedule":
            with self._work.lock:
                self.schedule_ids.add(rest)
        elif kind == "streams" and not self._work.dry_run:
            forget_places(self._work.world, rest)  # which may be from after what was restored
        elif kind == "step" and "abandoned" in item:
            self._abandoned(rest)
        elif kind == "idempotency":
            self._work.done("requests_forgotten", item["run_id"])
            if not self._work.dry_run:
                self._work.tables.forget(item["run_id"])

    def _record(self, item: dict[str, Any]) -> None:
        run_id = item["run_id"]
        if "record" in item:
            record = RunRecord.model_validate_json(item["record"])
            with self._work.lock:
                self._found.records.add(run_id)
                if run_id not in self._found.seen:
                    self.lost.append(record)
        elif "reserved" in item and not self._is_being_archived(run_id):
            self._work.done("records_removed", run_id)
            if not self._work.dry_run:
                self._work.tables.forget(run_id)

    def _is_being_archived(self, reserved: str) -> bool:
        base, number = generation(reserved)
        before = self._work.world.get_run(generation_id(base, number - 1))
        return before is not None and before.archived_at is not None

    def _hook(self, hook: HookRecord) -> None:
        if hook.run_id in {run_id for _, run_id, _ in self._found.hooks.get(hook.token, ())} or self._holds(hook):
            with self._work.lock:
                self._held.add(hook.token)
            return
        self._work.done("hooks_released", hook.token)
        if not self._work.dry_run:
            items.delete_hook(self._work.world, hook.token, hook.run_id)

    def _holds(self, hook: HookRecord) -> bool:
        """Whether a run holds a token by now."""
        if hook.run_id in self._found.seen and hook.run_id not in self._found.open:
            return False
        events = self._work.tables.load(hook.run_id)
        if not events or not is_whole(events):
            return False
        state = RunState(events)
        return state.ended is None and any(held.token == hook.token for held in state.hooks.values())

    def _abandoned(self, key: str) -> None:
        """An attempt that is not wanted any more, as the ledger says."""
        run_id, step_id, number, _ = key.split("#")
        events = self._work.tables.load(run_id) if run_id in self._found.open else []
        if events and is_whole(events):
            step = RunState(events).steps.get(step_id)
            is_open = step is not None and step.attempt == int(number)
            is_known = any(isinstance(event, StepScheduled) and event.step_id == step_id for event in events)
            if is_known and not is_open:
                return
        elif run_id in self._found.seen:
            return
        self._work.done("wanted_again", f"{run_id} {step_id}/{number}")
        if not self._work.dry_run:
            self._work.tables.want_again(run_id, Attempt(step_id, int(number)))


def _hook_record(run_id: str, hook: HookCreated) -> HookRecord:
    return HookRecord(
        token=hook.token,
        run_id=run_id,
        hook_id=hook.hook_id,
        metadata=hook.metadata,
        webhook=hook.webhook,
        answers=hook.answers,
    )
