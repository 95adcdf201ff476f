"""Processes are killed at random and the code is deployed anew while orders are under way: the shop's books are right.

`make chaos RUNS=500` is the same with as many orders, on the template's own visibility timeouts.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from decimal import Decimal

import pytest

from tests.e2e.chaos import STOCK, Customers, Monkey, Purchase, doubled, purchases
from tests.e2e.conftest import Project, visible_again_after
from tests.e2e.shop import open_shop, visit
from worldflow.devtools.stack import Stack
from worldflow.engine.history import Event
from worldflow.settings import Settings
from worldflow.testing import replay
from worldflow.worlds import AWSWorld

RUNS = int(os.environ.get("CHAOS_RUNS", 0))
SEED = int(os.environ.get("CHAOS_SEED", 1))


@pytest.mark.timeout(900 + 10 * RUNS)
def test_killed_and_deployed_anew(
    project: Project, stack: Stack, application: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    open_shop(project.shop, STOCK)  # other tests order too
    rng = random.Random(SEED)
    orders = purchases(RUNS or 60, rng)
    world = AWSWorld(Settings.from_environment(stack.environment), session=stack.aws.observer())
    functions = {
        stack.outputs["OrchestratorFunctionName"]: 0.45,
        stack.outputs["StepExecutorFunctionName"]: 0.45,
        stack.outputs["SignalFunctionName"]: 0.1,
    }
    updates = 2 if RUNS else 1
    stack.aws.reset_usage()
    began = time.monotonic()
    with (
        # Two visibility timeouts are a test's patience; the large one has more.
        visible_again_after(None if RUNS else 30, stack),
        Customers(stack, world, orders, at_once=40 if RUNS else 20) as customers,
        Monkey(stack.aws, functions, rng, messages=30) as monkey,
    ):
        for update in range(1, updates + 1):
            customers.served(update / (updates + 2), within=300 + 4 * RUNS)
            project.release(update + 1, stack)
        customers.served(1, within=300 + 4 * RUNS)
    report = [f"{len(orders)} orders in {time.monotonic() - began:.0f} s, seed {SEED}, {updates} updates"]
    report += [f"kills: {monkey.kills}", f"API requests that were repeated: {customers.repeated}"]
    report += [f"{name}: {count}" for name, count in sorted(stack.aws.usage().deliveries.items())]

    assert Counter(customers.ended.values()) == Counter("completed" if order.ships else "failed" for order in orders)
    histories = {order.run_id: world.read_events(order.run_id) for order in orders}
    for order in orders:
        check_history(order, histories[order.run_id])
    report += check_books(project.shop, orders)
    report += check_doubles(project.shop, monkey)
    report.append(f"attempts that failed: {failures(histories)}")
    with capsys.disabled():
        if RUNS:
            print("\n" + "\n".join(report))


def check_history(order: Purchase, events: list[Event]) -> None:
    """It is in order, nothing in it is there twice, and the code comes to the same decisions."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    types = Counter(event.event_type for event in events)
    assert types["RunStarted"] == types["RunCompleted"] + types["RunFailed"] == 1
    assert types["SignalReceived"] == (order.kind in ("approved", "refused"))
    outcomes = Counter(
        (event.payload["step_id"], event.payload["attempt"])
        for event in events
        if event.event_type in ("StepCompleted", "StepFailed")
    )
    assert set(outcomes.values()) == {1}
    lines = [
        {"payload": event.payload, "seq": event.seq, "at": event.at, "event_type": event.event_type} for event in events
    ]
    replay("\n".join(json.dumps(line, default=str) for line in lines))


def check_books(shop: str, orders: list[Purchase]) -> list[str]:
    """What is reserved, charged and shipped is what was ordered, to the piece and to the cent."""
    shipped = [order for order in orders if order.ships]
    with visit(shop) as books:
        sold: Counter[str] = Counter()
        for order in shipped:
            sold += order.quantities
        stock = dict(books.execute("SELECT sku, quantity FROM stock").fetchall())
        assert stock == {sku: quantity - sold[sku] for sku, quantity in STOCK.items()}

        kept = "SELECT run_id, sku, quantity FROM reservations WHERE released_by IS NULL"
        reserved: Counter[tuple[str, str]] = Counter()
        for run_id, sku, quantity in books.execute(kept).fetchall():
            reserved[run_id, sku] += quantity
        expected = {(order.run_id, sku): pieces for order in shipped for sku, pieces in order.quantities.items()}
        assert reserved == expected

        charged: dict[str, list[Decimal]] = {}
        for run_id, amount in books.execute("SELECT run_id, amount FROM charges WHERE refunded_by IS NULL").fetchall():
            charged.setdefault(run_id, []).append(Decimal(amount))
        assert charged == {order.run_id: [order.total] for order in shipped}

        parcels = [row[0] for row in books.execute("SELECT order_id FROM parcels").fetchall()]
        assert sorted(parcels) == sorted(order.order["order_id"] for order in shipped)
        releases = dict(books.execute("SELECT release, COUNT(*) FROM calls GROUP BY release").fetchall())
    taken_back = sum(order.kind == "no such address" for order in orders)
    return [
        f"{len(shipped)} parcels, {sum(order.total for order in shipped)} charged, {taken_back} charges refunded",
        f"step runs by release: {releases}",
    ]


def check_doubles(shop: str, monkey: Monkey) -> list[str]:
    """An attempt runs again only where the process that ran it was killed before it could say what came of it."""
    twice = list(doubled(shop))
    for attempt, runs in twice:
        for pid, began, _ in runs[:-1]:
            assert monkey.killed.get(pid, 0) >= began, f"{attempt} ran twice, and nobody killed the first: {runs}"
    done = sum(ended is not None for _, runs in twice for _, _, ended in runs[:-1])
    return [f"attempts that ran twice: {len(twice)}, each of a killed process; {done} had told the shop already"]


def failures(histories: dict[str, list[Event]]) -> dict[tuple[str, str], int]:
    """By the step and the type of its error: how often."""
    found: Counter[tuple[str, str]] = Counter()
    for events in histories.values():
        names = {
            event.payload["step_id"]: event.payload["name"] for event in events if event.event_type == "StepScheduled"
        }
        failed = [event.payload for event in events if event.event_type == "StepFailed"]
        found.update((names[one["step_id"]], one["error"]["type"].rpartition(":")[2]) for one in failed)
    return dict(found)
