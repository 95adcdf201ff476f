"""The live runs of a process: kept from one turn to the next, and read again from their histories."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable

from worldflow.engine.history import Event
from worldflow.engine.history.state import RunState
from worldflow.turns.live_run import LiveRun, Replay, Rules
from worldflow.turns.memory import without_collections
from worldflow.worlds import reading
from worldflow.worlds.base import World

LIVE_LIMIT = 200
"""Live executions that a process keeps, oldest out: some tens of kilobytes each."""


class LiveRuns:
    """May be used from several threads, for different runs at a time."""

    def __init__(self, world: World, rules: Rules, *, limit: int, is_full: Callable[[], bool]) -> None:
        self._world = world
        self._rules = rules
        self._limit = limit
        self._is_full = is_full
        self._runs: OrderedDict[str, LiveRun] = OrderedDict()
        self._lock = threading.Lock()
        # Holds the runs themselves. So the garbage collector, which would end their coroutines in any order, does not
        # come to them before, nor does the end of the interpreter, when the names of modules are gone.
        weakref.finalize(self, _dispose_of, self._runs, self._lock)

    def take(self, run_id: str) -> LiveRun | None:
        """The run, if this process holds it. It is the caller's then, who puts it back or disposes of it."""
        with self._lock:
            run = self._runs.pop(run_id, None)
        if run and reading.is_quiet(self._world, run.state.at):
            run.dispose()  # it may have ended in another process, and have left no history for a commit to meet
            return None
        return run

    def put_back(self, run: LiveRun) -> None:
        """Keeps a run for its next turn, unless it has none, or its code cannot run."""
        if run.execution is None or run.state.ended or run.state.paused:
            return
        with self._lock:
            self._runs[run.id] = run
            limit = len(self._runs) // 2 if self._is_full() else self._limit
            surplus = [self._runs.popitem(last=False)[1] for _ in range(len(self._runs) - limit)]
        for oldest in surplus:
            oldest.dispose()

    def load(self, run_id: str, *, use_code: bool = True, wakes: bool = True) -> tuple[LiveRun, Replay | None]:
        """The run as its history stands, with a live execution if its code can run.

        use_code: False gives it none.
        wakes: False gives it none if it is paused.
        """
        with without_collections():
            history = self._load_history(run_id)
            run = LiveRun(self._world, run_id, RunState(history), self._rules)
            if not use_code:
                run.code_was_tried = False
                run.blocked = "each of its turns failed or died; the log shows why"
                return run, None
            if run.state.started and not run.state.ended and (wakes or run.state.paused is None):
                return run, run.revive(run.state.started, history)
            return run, None

    def _load_history(self, run_id: str) -> list[Event]:
        """The history of a run; none where that is on its way to the archive, of which half might be read."""
        history = self._world.load_history(run_id)
        if not history or not reading.is_quiet(self._world, history[-1].at):
            return history
        record = self._world.get_run(run_id)
        return [] if record is None or record.archived_at else history

    def close(self) -> None:
        """Disposes of all."""
        _dispose_of(self._runs, self._lock)


def _dispose_of(runs: OrderedDict[str, LiveRun], lock: threading.Lock) -> None:
    with lock:
        left = list(runs.values())
        runs.clear()
    for run in left:
        run.dispose()
