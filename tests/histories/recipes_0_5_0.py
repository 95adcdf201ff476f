"""Recipes for what release 0.5.0 knows that 0.4.0 did not; see `recipes.py`."""

from tests.histories import workflows_0_5_0 as flows
from tests.histories.recipes import RECIPES, send, started
from tests.support.systems import LocalSystem, start
from worldflow.runtime import sending, webhooks

RECIPES["streams"] = started(flows.streams, count=3)

RECIPES["cancelled_step_is_waited_for"] = started(flows.waits_for_a_step)


def paused_and_woken(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, flows.pauses_and_is_woken, other="nobody")
    webhooks.fail_hook(system.world, "paused-and-woken", "out of paper", resume_id="f")
    system.settle()
    sending.pause(system.world, run_id, "an incident", by="Grace")
    system.settle()
    send(system, run_id, "word", "one")
    sending.unpause(system.world, run_id)
    system.settle()
    sending.wake(system.world, run_id)
    system.settle()


RECIPES["paused_and_woken"] = paused_and_woken
