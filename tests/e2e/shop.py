"""The shop's own services: what the steps of an order do is kept here, where it can be compared with the orders.

It is copied into the layer of workflows, and the steps of `layers/workflows/workflows/order.py` are registered anew:
each does what it did, and tells the shop, under the id that the order chose. A shop that has seen the id before changes
nothing. Every call is noted too, with the process and the release of the code that made it, so that a step that ran
twice is seen.
"""

import functools
import os
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from workflows import order
from worldflow import StepInfo, step, step_info

# Both are written here by the tests: where the shop is, and which release of the code this is.
SHOP = ""
RELEASE = 1

SCHEMA = """
CREATE TABLE IF NOT EXISTS stock (sku TEXT PRIMARY KEY, quantity INTEGER NOT NULL CHECK (quantity >= 0));
CREATE TABLE IF NOT EXISTS reservations (id TEXT PRIMARY KEY, run_id TEXT NOT NULL, sku TEXT NOT NULL,
                                         quantity INTEGER NOT NULL, released_by TEXT);
CREATE TABLE IF NOT EXISTS charges (id TEXT PRIMARY KEY, run_id TEXT NOT NULL, amount TEXT NOT NULL,
                                    refunded_by TEXT);
CREATE TABLE IF NOT EXISTS parcels (order_id TEXT PRIMARY KEY, key TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS calls (key TEXT NOT NULL, attempt INTEGER NOT NULL, step TEXT NOT NULL, pid INTEGER NOT NULL,
                                  release INTEGER NOT NULL, began REAL NOT NULL, ended REAL);
"""

Effect = Callable[[sqlite3.Connection, StepInfo, Any], None]


def open_shop(path: str, stock: dict[str, int]) -> None:
    """With nothing sold: what is in the books already goes out of them."""
    with closing(sqlite3.connect(path)) as shop, shop:
        shop.execute("PRAGMA journal_mode = WAL")
        shop.executescript(SCHEMA)
        for table in ("stock", "reservations", "charges", "parcels", "calls"):
            shop.execute(f"DELETE FROM {table}")
        shop.executemany("INSERT INTO stock VALUES (?, ?)", stock.items())


@contextmanager
def visit(path: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=30)) as shop:
        shop.execute("PRAGMA synchronous = OFF")
        with shop:
            shop.execute("BEGIN IMMEDIATE")
            yield shop


def reserve(shop: sqlite3.Connection, info: StepInfo, reservation: order.Reservation) -> None:
    values = (reservation.reservation_id, info.run_id, reservation.sku, reservation.quantity)
    if shop.execute("INSERT OR IGNORE INTO reservations VALUES (?, ?, ?, ?, NULL)", values).rowcount:
        shop.execute("UPDATE stock SET quantity = quantity - ? WHERE sku = ?", (reservation.quantity, reservation.sku))


def release(shop: sqlite3.Connection, info: StepInfo, reservation_id: str) -> None:
    unreleased = "UPDATE reservations SET released_by = ? WHERE id = ? AND released_by IS NULL RETURNING quantity, sku"
    freed = shop.execute(unreleased, (info.idempotency_key, reservation_id)).fetchall()
    shop.executemany("UPDATE stock SET quantity = quantity + ? WHERE sku = ?", freed)


def charge(shop: sqlite3.Connection, info: StepInfo, receipt: order.Receipt) -> None:
    values = (receipt.charge_id, info.run_id, str(receipt.amount))
    shop.execute("INSERT OR IGNORE INTO charges VALUES (?, ?, ?, NULL)", values)


def refund(shop: sqlite3.Connection, info: StepInfo, charge_id: str) -> None:
    unrefunded = "UPDATE charges SET refunded_by = ? WHERE id = ? AND refunded_by IS NULL"
    shop.execute(unrefunded, (info.idempotency_key, charge_id))


def ship(shop: sqlite3.Connection, info: StepInfo, tracking: str) -> None:
    values = (tracking.removeprefix("PARCEL-"), info.idempotency_key)
    shop.execute("INSERT OR IGNORE INTO parcels VALUES (?, ?)", values)


def told(function: Callable[..., Awaitable[Any]], effect: Effect, *, of_its: str) -> Callable[..., Awaitable[Any]]:
    """The step, which tells the shop of its result or of its argument."""

    @functools.wraps(function)
    async def call(*args: Any) -> Any:
        info = step_info()
        with visit(SHOP) as shop:
            called = (info.idempotency_key, info.attempt, function.__name__, os.getpid(), RELEASE, time.time())
            row = shop.execute("INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, NULL)", called).lastrowid
        dawdle()
        result = await function(*args)
        with visit(SHOP) as shop:
            effect(shop, info, result if of_its == "result" else args[0])
        dawdle()
        with visit(SHOP) as shop:
            shop.execute("UPDATE calls SET ended = ? WHERE rowid = ?", (time.time(), row))
        return result

    return call


def dawdle() -> None:
    """So that some processes are killed before the shop is told, and some after."""
    time.sleep(random.uniform(0, 0.05))


if SHOP:
    step(name="reserve")(told(order.reserve.function, reserve, of_its="result"))
    step(name="release")(told(order.release.function, release, of_its="argument"))
    step(name="charge")(told(order.charge.function, charge, of_its="result"))
    step(name="refund")(told(order.refund.function, refund, of_its="argument"))
    step(name="ship")(told(order.ship.function, ship, of_its="result"))
