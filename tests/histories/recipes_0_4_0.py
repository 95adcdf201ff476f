"""Recipes for what release 0.4.0 knows that 0.3.0 did not; see `recipes.py`."""

from tests.histories import workflows_0_4_0 as flows
from tests.histories.recipes import RECIPES, started
from tests.support.systems import System, finish, signal, start
from worldflow.engine.history import RunRestored

RECIPES["steps_that_may_run_again"] = started(flows.runs_again, count=3)


def restored(system: System, run_id: str) -> None:
    start(system, run_id, flows.goes_on_when_restored, number=2)
    seq = system.world.load_history(run_id)[-1].seq
    system.world.append(run_id, [RunRestored().recorded(seq + 1, system.world.now())])
    system.restart()
    signal(system, run_id, "more", 3)
    finish(system, run_id)


RECIPES["restored"] = restored
