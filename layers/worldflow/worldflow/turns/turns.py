"""A turn: everything that happens to a run when messages for it arrive.

    load         the history, unless this process holds the execution live
    apply        each fact that is new, and collect the decisions
    commit       facts and decisions as one conditional write
    act          on what was decided: messages are sent (`acts/`)
    inline       steps run here and now; their outcomes are applied, committed and acted on in the same turn
    acknowledge  the messages (the caller does, when `take` returns)

Turns of one run are taken one at a time, since the queue groups its messages by run; two at once do no harm, because a
commit is written only if it is the next. A crash anywhere leaves the messages unacknowledged, and the turn is taken
again.

A live execution is trusted without a read, since the conditional write finds out if it is stale. So a turn that has
nothing to commit reads the tail of the history before it drops messages or acts again. Whatever goes wrong between
apply and commit discards the live execution, which may be ahead of the history. What may have been committed and not
acted on (messages received before, a lost conditional write, a poke) is acted on again: acts are harmless to repeat.

Code that cannot run (it does not import, has no such workflow, is not deterministic, cannot read the data) blocks its
run and no other: facts are committed as `held`, and applied by the first turn of code that can. A history with a kind
of event that this version does not know, as after a rollback, lets its turns fail: they are retried.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Unpack

from worldflow.engine.errors import ConflictError
from worldflow.turns.live_run import Rules
from worldflow.turns.live_runs import LIVE_LIMIT, LiveRuns
from worldflow.turns.observer import Observer, Observers
from worldflow.turns.steps import StepExecutor
from worldflow.turns.turn import How, Tools, Turn
from worldflow.turns.watchdog import CPU_LIMIT
from worldflow.worlds.base import World
from worldflow.worlds.messages import RunMessage
from worldflow.worlds.outages import is_outage

CONFLICT_LIMIT = 5
"""How often a turn that lost its conditional write is taken again before the messages go back to the queue."""

HISTORY_LIMIT = 50_000
"""Events of a history. A run that would have more fails; at a fifth of it the log warns."""


class Turns:
    """Takes turns of runs. May be used from several threads, for different runs at a time."""

    def __init__(
        self,
        world: World,
        *,
        live_limit: int = LIVE_LIMIT,
        history_limit: int = HISTORY_LIMIT,
        cpu_limit: float = CPU_LIMIT,
        chance: random.Random | None = None,
        is_full: Callable[[], bool] = lambda: False,
        strict: bool = False,
        observer: Observer | None = None,
    ) -> None:
        """
        live_limit: how many executions are kept live, at most.
        is_full: whether the process has no memory for as many as it has; then half of them go, those used longest ago.
        cpu_limit: seconds of processor time that a workflow may take over one fact.
        strict: for tests; see `Execution`.
        chance: where the seeds of runs and the jitter of retries come from; default: the system's source.
        observer: is notified of turns, their commits and their inline attempts.
        """
        rules = Rules(chance or random.SystemRandom(), history_limit, cpu_limit, strict)
        self._tools = Tools(
            world=world,
            runs=LiveRuns(world, rules, limit=live_limit, is_full=is_full),
            executor=StepExecutor(world, observer=observer),
            observer=Observers(observer),
            rules=rules,
        )

    def take(self, run_id: str, messages: Sequence[RunMessage], **how: Unpack[How]) -> None:
        """Takes the turn that `messages` of a run ask for. The options are those of `How`.

        When it returns, the messages may be acknowledged; if it raises, they must come again.
        """
        for _ in range(CONFLICT_LIMIT):
            try:
                with self.begin(run_id, messages, **how) as turn:
                    while turn.advance():
                        with self._tools.world.together():
                            turn.settle()
                return
            except ConflictError:
                how["redo"] = True
            except Exception as error:
                if is_outage(error):
                    self._tools.executor.tell_inline(run_id)
                raise
        raise ConflictError(f"run {run_id!r}: {CONFLICT_LIMIT} turns in a row lost their conditional write")

    def begin(self, run_id: str, messages: Sequence[RunMessage], **how: Unpack[How]) -> Turn:
        """A turn that the caller brings from one commit to the next, perhaps together with others. The options and
        exceptions are those of `take`, except that a `ConflictError` is left to the caller.
        """
        return Turn(self._tools, run_id, messages, **how)

    def close(self) -> None:
        """Lets go of all live executions."""
        self._tools.runs.close()
        self._tools.executor.close()

    def stop_steps(self) -> None:
        """Cancels the inline steps of turns that are under way, which fail. May be called from any thread."""
        self._tools.executor.stop_inline()

    # The garbage collector would end executions and their coroutines in any order: see `Execution.dispose`.
    __del__ = close
