"""What follows from runs that have ended: their generations, and the children that they left behind."""

from __future__ import annotations

from collections.abc import Mapping

from worldflow.engine.history.state import OpenChild, RunState
from worldflow.engine.ids import generation, generation_id
from worldflow.runtime.reconcile.work import Found, Work
from worldflow.turns.acts import following_record


class Followers:
    def __init__(self, work: Work, found: Found) -> None:
        self._work = work
        self._found = found

    def begin(self) -> None:
        """The generations that should follow others."""
        for run_id, before in self._found.continued.items():
            if run_id in self._found.seen or run_id in self._found.records or self._work.world.archive.get(run_id):
                continue
            self._work.done("begun_anew", run_id)
            self._found.records.add(run_id)
            self._found.to_wake.append((run_id, []))
            if not self._work.dry_run:
                record = following_record(self._work.world, RunState(self._work.world.load_history(before)))
                self._work.world.create_run(record.model_copy(update={"restored": True}))

    def end_again(self) -> None:
        """Ends again the runs that have ended, where children of theirs were not told, or not started."""
        woken = (run_id for run_id, _ in self._found.to_wake)
        going = {generation(run_id)[0] for run_id in (*self._found.open, *woken)}
        for run_id, children in self._found.left_behind:
            if any(self._waits_for_its_parent(child, going) for child in children):
                self._found.to_wake.append((run_id, []))

    def _waits_for_its_parent(self, child: OpenChild, going: set[str]) -> bool:
        child_run_id = child.started.child_run_id
        if generation(child_run_id)[0] in going:
            return child.cancel_requested or child.started.parent_close != "abandon"
        if child_run_id in self._found.seen or child_run_id in self._found.records or child.cancel_requested:
            return False
        return child.started.parent_close == "abandon" and self._work.world.archive.get(child_run_id) is None

    def number(self, generations: Mapping[str, int]) -> None:
        """Which generation of each run is the newest."""
        newest: dict[str, int] = {}
        for run_id in self._found.seen | self._found.records:
            base, number = generation(run_id)
            newest[base] = max(number, newest.get(base, 1))
        for base in {*generations, *(base for base, number in newest.items() if number > 1)}:
            number, before = newest.get(base, 1), generations.get(base)
            if number != before:
                self._work.done("generations", generation_id(base, number))
                if not self._work.dry_run:
                    self._work.tables.set_generation(base, number, before)
