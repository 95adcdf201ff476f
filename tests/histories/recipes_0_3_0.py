"""Recipes for what release 0.3.0 knows that 0.2.0 did not; see `recipes.py`."""

from tests.histories import workflows_0_3_0 as flows
from tests.histories.recipes import RECIPES, recipe, started
from tests.histories.recipes_0_2_0 import hook
from tests.support.systems import LocalSystem, start
from worldflow.runtime import starting, webhooks

RECIPES["data_of_another_run"] = started(flows.has_a_child_with_large_data, size=2_000)


@recipe
def a_late_signal_begins_it(system: LocalSystem, run_id: str) -> str:
    for number in (1, 2):
        starting.signal_with_start(system.world, run_id, flows.takes_one, {}, name="item", value=number)
    system.settle()
    return f"{run_id}~2"


@recipe
def a_webhook_that_expires(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, flows.expires)
    webhooks.receive(system.world, hook(system, run_id, "h1").token, method="POST", body=b"in time")
    system.settle()
