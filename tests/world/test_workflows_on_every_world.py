"""Whole runs: the same results and the same events on every World."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support import workflows
from tests.support.aws import deployed
from tests.support.systems import System, aws_system, cancel, finish, local_system, signal, skip, start, story
from workflows.hello import hello
from workflows.order import Approval, Line, Order, fulfil_order
from worldflow.engine.history import StepCompleted
from worldflow.runtime import sending, starting
from worldflow.turns import beginning
from worldflow.turns.turns import Turns
from worldflow.worlds import RunRecord
from worldflow.worlds.messages import FactArrived, Poke, Start

CHEAP = Line(sku="BEANS-1KG", quantity=2, unit_price=Decimal("19.50"))
DEAR = Line(sku="ESPRESSO-9000", quantity=1, unit_price=Decimal("1299.00"))
GONE = Line(sku="SOLD-OUT-7", quantity=1, unit_price=Decimal("5.00"))


def order(*lines: Line, card: str = "4242", customer: str = "Ada") -> Order:
    return Order(order_id="1001", customer=customer, card=card, lines=list(lines))


def run_hello(system: System) -> RunRecord:
    start(system, "r", hello, name="Ada")
    return finish(system, "r")


def run_order(*lines: Line, **fields: str) -> Callable[[System], RunRecord]:
    def scenario(system: System) -> RunRecord:
        start(system, "r", fulfil_order, order=order(*lines, **fields))
        return finish(system, "r")

    return scenario


def answer(approved: bool) -> Callable[[System], RunRecord]:
    def scenario(system: System) -> RunRecord:
        start(system, "r", fulfil_order, order=order(DEAR, CHEAP))
        signal(system, "r", "approval", Approval(approved=approved, by="Grace"))
        return finish(system, "r")

    return scenario


def early_answer(system: System) -> RunRecord:
    starting.start(system.world, "r", fulfil_order, {"order": order(DEAR)})
    sending.signal(system.world, "r", "approval", Approval(approved=True, by="Grace"), signal_id="approval-1")
    return finish(system, "r")


def cancelled_while_it_waits(system: System) -> RunRecord:
    start(system, "r", fulfil_order, order=order(DEAR, CHEAP))
    cancel(system, "r")
    return finish(system, "r")


def cancelled_while_it_packs(system: System) -> RunRecord:
    start(system, "r", fulfil_order, order=order(CHEAP))
    cancel(system, "r")
    return finish(system, "r")


def restarted_at_every_rest(system: System) -> RunRecord:
    start(system, "r", fulfil_order, order=order(DEAR, CHEAP))
    system.restart()
    signal(system, "r", "approval", Approval(approved=True, by="Grace"))
    system.restart()
    while skip(system):
        system.restart()
    return system.world.read_run("r")


def run_squares(system: System) -> RunRecord:
    start(system, "r", workflows.squares, count=100)
    return finish(system, "r")


def run_chain(system: System) -> RunRecord:
    start(system, "r", workflows.chain, length=20)
    return finish(system, "r")


@dataclass(frozen=True)
class Expected:
    status: str
    result: Any = None
    error: str | None = None
    steps: tuple[str, ...] | None = None
    """The steps that were scheduled, in order."""


SHIPPED = {"order_id": "1001", "tracking": "PARCEL-1001"}
TWO = ("reserve", "reserve")

SCENARIOS: dict[str, tuple[Callable[[System], RunRecord], Expected]] = {
    "hello": (
        run_hello,
        Expected("completed", ["Hello, Ada!", "Hello, Ada, again!"], steps=("greet", "greet")),
    ),
    "a small order": (
        run_order(CHEAP, CHEAP),
        Expected("completed", {**SHIPPED, "charged": "78.00"}, steps=(*TWO, "charge", "ship")),
    ),
    "approval": (
        answer(True),
        Expected("completed", {**SHIPPED, "charged": "1338.00"}, steps=(*TWO, "charge", "ship")),
    ),
    "approval before its wait": (
        early_answer,
        Expected("completed", {**SHIPPED, "charged": "1299.00"}, steps=("reserve", "charge", "ship")),
    ),
    "refusal": (
        answer(False),
        Expected("failed", error="workflows.order:ApprovalRefused", steps=(*TWO, "release", "release")),
    ),
    "timeout": (
        run_order(DEAR, CHEAP),
        Expected("failed", error="workflows.order:ApprovalRefused", steps=(*TWO, "release", "release")),
    ),
    "decline": (
        run_order(CHEAP, card="declined"),
        Expected("failed", error="workflows.order:CardDeclined", steps=("reserve", "charge", "refund", "release")),
    ),
    "a bank that answers the second time": (
        run_order(CHEAP, card="flaky"),
        Expected("completed", {**SHIPPED, "charged": "39.00"}, steps=("reserve", "charge", "ship")),
    ),
    "out of stock": (
        run_order(CHEAP, GONE, CHEAP),
        Expected("failed", error="workflows.order:OutOfStock", steps=("reserve",) * 3 + ("release",) * 3),
    ),
    "no address": (
        run_order(CHEAP, customer="nowhere"),
        Expected(
            "failed",
            error="worldflow.engine.errors:FatalError",
            steps=("reserve", "charge", "ship", "refund", "release"),
        ),
    ),
    "cancelled while it waits for approval": (
        cancelled_while_it_waits,
        Expected("cancelled", steps=(*TWO, "release", "release")),
    ),
    "cancelled while it packs": (
        cancelled_while_it_packs,
        Expected("cancelled", steps=("reserve", "charge", "refund", "release")),
    ),
    "restarted at every rest": (
        restarted_at_every_rest,
        Expected("completed", {**SHIPPED, "charged": "1338.00"}, steps=(*TWO, "charge", "ship")),
    ),
    "100 parallel steps": (
        run_squares,
        Expected("completed", sum(number * number for number in range(100)), steps=("square",) * 100),
    ),
    "20 steps in a row": (run_chain, Expected("completed", 20, steps=("increment",) * 20)),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_goes_the_same_way_on_every_world(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario, expected = SCENARIOS[name]
    with (
        local_system(":memory:") as memory,
        local_system(tmp_path / "runs.db") as file,
        deployed() as stack,
        aws_system(stack) as aws,
    ):
        # Batches of messages that are sent side by side come in another order each time.
        monkeypatch.setitem(aws.world._messages.__dict__, "_threads", ThreadPoolExecutor(1))
        monkeypatch.setattr(beginning, "seed", lambda chance: "the same ids in each run")
        outcomes = [_outcome(system, scenario) for system in (memory, file, aws)]

    for record, told in outcomes:
        assert (record.status, record.result) == (expected.status, expected.result)
        assert (record.error and record.error.type) == expected.error
        scheduled = [payload["name"] for event_type, payload in told if event_type == "StepScheduled"]
        assert tuple(scheduled) == expected.steps
    assert outcomes[0][1] == outcomes[1][1] == outcomes[2][1]


def _outcome(system: System, scenario: Callable[[System], RunRecord]) -> tuple[RunRecord, Any]:
    return scenario(system), story(system, "r")


def test_an_approval_that_comes_on_the_last_day_counts(system: System) -> None:
    start(system, "r", fulfil_order, order=order(DEAR))
    system.clock.forward(system.clock.now() + timedelta(days=2, hours=23))
    signal(system, "r", "approval", Approval(approved=True, by="Grace"))

    assert finish(system, "r").status == "completed"


def test_what_is_reserved_is_released_when_the_run_is_cancelled_between_two_lines(system: System) -> None:
    # By hand, since a step that is under way is what this is about.
    turns = Turns(system.world)
    starting.start(system.world, "r", fulfil_order, {"order": order(CHEAP, CHEAP)})
    turns.take("r", [Start(run_id="r")])
    (asked,) = (payload["input"] for _, payload in story(system, "r") if payload.get("step_id") == "s1")
    reserved = {"reservation_id": asked["reservation_id"], "sku": CHEAP.sku, "quantity": 2}
    turns.take("r", [FactArrived(run_id="r", fact=StepCompleted(step_id="s1", result=reserved))])
    cancel(system, "r")
    finish(system, "r")

    released = [payload["input"] for kind, payload in story(system, "r") if payload.get("name") == "release"]
    assert {"reservation_id": asked["reservation_id"]} in released


def test_starting_twice_gives_one_run(system: System) -> None:
    start(system, "r", workflows.chain, length=2)
    start(system, "r", workflows.chain, length=5)

    assert finish(system, "r").result == 2
    assert [kind for kind, _ in story(system, "r")].count("RunStarted") == 1


def test_a_run_whose_code_changed_is_blocked_until_the_old_code_is_back(system: System) -> None:
    starting.start(system.world, "r", workflows.wanders, {})
    Turns(system.world).take("r", [Start(run_id="r")])
    workflows.detour.set()
    try:
        # Takes the start again, and finds that the history holds another step.
        system.settle()
        blocked = system.world.read_run("r")
    finally:
        workflows.detour.clear()
    assert blocked.status == "blocked"
    assert "NonDeterminismError" in (blocked.blocked_reason or "")

    system.restart()
    system.world.send([Poke(run_id="r")])
    system.settle()

    assert finish(system, "r").result == 7
