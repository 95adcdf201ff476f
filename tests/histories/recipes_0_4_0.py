"""Recipes for what release 0.4.0 knows that 0.3.0 did not; see `recipes.py`."""

from tests.histories import workflows_0_4_0 as flows
from tests.histories.recipes import RECIPES, started

RECIPES["steps_that_may_run_again"] = started(flows.runs_again, count=3)
