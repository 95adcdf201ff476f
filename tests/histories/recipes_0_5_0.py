"""Recipes for what release 0.5.0 knows that 0.4.0 did not; see `recipes.py`."""

from tests.histories import workflows_0_5_0 as flows
from tests.histories.recipes import RECIPES, started

RECIPES["streams"] = started(flows.streams, count=3)

RECIPES["cancelled_step_is_waited_for"] = started(flows.waits_for_a_step)
