"""What happens to the runs whose histories are recorded: one recipe for each history.

A release that knows more adds recipes, and a module of workflows of its own; what is recorded stays as it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from tests.histories import ends_0_1_0 as ends
from tests.histories import order_0_1_0 as orders
from tests.histories import workflows_0_1_0 as flows
from tests.support.systems import LocalSystem, cancel, skip, start
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import sending, starting
from worldflow.worlds.messages import Poke

Recipe = Callable[[LocalSystem, str], str | None]
"""Called with a system and the id of the run to be. Returns the id of the run to be recorded, where it is another."""

RECIPES: dict[str, Recipe] = {}


def recipe(function: Recipe) -> Recipe:
    RECIPES[function.__name__] = function
    return function


def started(workflow: Workflow[..., Any], **arguments: Any) -> Recipe:
    """A run that is started and goes on to its end by itself."""

    def go(system: LocalSystem, run_id: str) -> None:
        start(system, run_id, workflow, **arguments)
        to_the_end(system)

    return go


def to_the_end(system: LocalSystem) -> None:
    while skip(system):
        pass


def send(system: LocalSystem, run_id: str, name: str, value: Any = None) -> None:
    sending.signal(system.world, run_id, name, value)
    system.settle()


# --- orders --------------------------------------------------------------------------------------------------------

CHEAP = orders.Line(sku="BEANS-1KG", quantity=2, unit_price=Decimal("19.50"))
DEAR = orders.Line(sku="ESPRESSO-9000", quantity=1, unit_price=Decimal("1299.00"))
GONE = orders.Line(sku="SOLD-OUT-7", quantity=1, unit_price=Decimal("5.00"))


def order(*lines: orders.Line, card: str = "4242", customer: str = "Ada") -> orders.Order:
    return orders.Order(order_id="1001", customer=customer, card=card, lines=list(lines))


def an_order(*lines: orders.Line, **fields: str) -> Recipe:
    return started(orders.fulfil_order, order=order(*lines, **fields))


RECIPES["order_small"] = an_order(CHEAP, CHEAP)
RECIPES["order_timed_out"] = an_order(DEAR, CHEAP)
RECIPES["order_declined"] = an_order(CHEAP, card="declined")
RECIPES["order_flaky_card"] = an_order(CHEAP, card="flaky")
RECIPES["order_out_of_stock"] = an_order(CHEAP, GONE, CHEAP)
RECIPES["order_no_address"] = an_order(CHEAP, customer="nowhere")


@recipe
def order_approved(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, orders.fulfil_order, order=order(DEAR, CHEAP))
    send(system, run_id, "approval", orders.Approval(approved=True, by="Grace"))
    to_the_end(system)


@recipe
def order_approved_early(system: LocalSystem, run_id: str) -> None:
    starting.start(system.world, run_id, orders.fulfil_order, {"order": order(DEAR)})
    send(system, run_id, "approval", orders.Approval(approved=True, by="Grace"))
    to_the_end(system)


@recipe
def order_refused(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, orders.fulfil_order, order=order(DEAR, CHEAP))
    send(system, run_id, "approval", orders.Approval(approved=False, by="Grace"))


@recipe
def order_cancelled_while_it_waits(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, orders.fulfil_order, order=order(DEAR, CHEAP))
    cancel(system, run_id)


@recipe
def order_cancelled_while_it_packs(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, orders.fulfil_order, order=order(CHEAP))
    cancel(system, run_id)


@recipe
def order_that_waits(system: LocalSystem, run_id: str) -> None:
    """It has not ended."""
    start(system, run_id, orders.fulfil_order, order=order(DEAR, CHEAP))


# --- what goes by itself -------------------------------------------------------------------------------------------

RECIPES["timers"] = started(flows.timers)
RECIPES["timeout_of_a_step"] = started(flows.timeout_of_a_step)
RECIPES["gathers"] = started(flows.gathers, width=7)
RECIPES["completed_in_order"] = started(flows.completed_in_order)
RECIPES["synchronised"] = started(flows.synchronised)
RECIPES["a_group_that_fails"] = started(flows.a_group_that_fails)
RECIPES["a_group_that_is_caught"] = started(flows.a_group_that_is_caught)
RECIPES["retries"] = started(flows.retries)
RECIPES["catches"] = started(flows.catches)
RECIPES["values"] = started(flows.values)
RECIPES["chance"] = started(flows.chance)
for kind in ("attributes", "unportable", "group", "cause", "validation", "bytes"):
    RECIPES[f"fails_as_{kind}"] = started(flows.fails_as, kind=kind)
for kind in ("attributes", "unportable", "group", "notes", "local", "cause", "unfit result"):
    RECIPES[f"fails_by_itself_{kind.replace(' ', '_')}"] = started(flows.fails_by_itself, kind=kind)


# --- signals -------------------------------------------------------------------------------------------------------


@recipe
def signals(system: LocalSystem, run_id: str) -> None:
    starting.start(system.world, run_id, flows.signals)
    send(system, run_id, "early", 1)
    send(system, run_id, "early", {"deep": [1, None]})
    for number in (1, 2):
        send(system, run_id, "shared", number)
    skip(system)
    send(system, run_id, "approval", flows.Approval(approved=True))
    send(system, run_id, "approval", "yes")
    send(system, run_id, "nothing")


@recipe
def a_signal_in_time(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, flows.signal_or_timer, seconds=60)
    send(system, run_id, "go", "now")


@recipe
def a_signal_too_late(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, flows.signal_or_timer, seconds=60)
    skip(system)
    send(system, run_id, "go", "late")


@recipe
def large_values(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, flows.large_values, size=1_000)
    send(system, run_id, "large", "y" * 1_500)


@recipe
def input_that_does_not_fit(system: LocalSystem, run_id: str) -> None:
    starting.start(system.world, run_id, flows.gathers.name, {"width": "wide", "depth": 1})
    system.settle()


# --- cancellation --------------------------------------------------------------------------------------------------


def cancelled(workflow: Workflow[..., Any]) -> Recipe:
    def go(system: LocalSystem, run_id: str) -> None:
        start(system, run_id, workflow)
        sending.cancel(system.world, run_id, "no longer wanted")
        system.settle()
        to_the_end(system)

    return go


RECIPES["cancelled_tidies_up"] = cancelled(ends.tidies_up)
RECIPES["cancelled_shrugs"] = cancelled(ends.shrugs)
RECIPES["cancelled_shields"] = cancelled(ends.shields)
RECIPES["cancelled_fails_to_tidy_up"] = cancelled(ends.fails_to_tidy_up)
RECIPES["cancelled_while_it_retries"] = cancelled(flows.timeout_of_a_step)


# --- facts that were held ------------------------------------------------------------------------------------------


@contextmanager
def without_code(system: LocalSystem, workflow: Workflow[..., Any]) -> Iterator[None]:
    """A deployment that has lost a workflow, and the next one, which has it again."""
    versions = definitions._workflows._versions.pop(workflow.name)
    system.restart()
    yield
    definitions._workflows._versions[workflow.name] = versions
    system.restart()


@recipe
def held_facts(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, ends.learns_late)
    with without_code(system, ends.learns_late):
        send(system, run_id, "go", 1)
        to_the_end(system)  # the step completes, and the timer fires
        send(system, run_id, "go", 2)
    system.world.send([Poke(run_id=run_id)])
    system.settle()
    with without_code(system, ends.learns_late):
        to_the_end(system)
    system.world.send([Poke(run_id=run_id)])
    system.settle()
    to_the_end(system)


@recipe
def held_from_the_start(system: LocalSystem, run_id: str) -> None:
    with without_code(system, flows.signal_or_timer):
        start(system, run_id, flows.signal_or_timer, seconds=60)
        send(system, run_id, "go", "before it began")
    system.world.send([Poke(run_id=run_id)])
    system.settle()


@recipe
def held_and_not_applied(system: LocalSystem, run_id: str) -> None:
    """It is blocked still."""
    start(system, run_id, flows.signal_or_timer, seconds=60)
    with without_code(system, flows.signal_or_timer):
        send(system, run_id, "go", "unheard")


@recipe
def held_and_cancelled(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, flows.signal_or_timer, seconds=60)
    with without_code(system, flows.signal_or_timer):
        send(system, run_id, "go", "unheard")
        cancel(system, run_id)
