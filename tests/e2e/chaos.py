"""Processes that are killed at random, and customers who go on ordering meanwhile."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import HTTPClientError

from tests.e2e.shop import visit
from worldflow.devtools.local_aws import LocalAws
from worldflow.devtools.stack import Answer, Stack
from worldflow.worlds import AWSWorld

ENDED = {"completed", "failed", "cancelled", "blocked"}
PRICES = {"KEYBOARD": Decimal("75.00"), "MOUSE": Decimal("19.99"), "SCREEN": Decimal("320.50")}
STOCK = dict.fromkeys(PRICES, 10_000)  # at the beginning
KINDS = {
    "plain": 60,
    "flaky card": 10,
    "approved": 10,
    "refused": 5,
    "card declined": 5,
    "sold out": 5,
    "no such address": 5,
}  # of a hundred


@dataclass(frozen=True, kw_only=True, slots=True)
class Purchase:
    """An order of the example, and what must become of it."""

    kind: str
    order: dict[str, Any]

    @property
    def run_id(self) -> str:
        return f"order-{self.order['order_id']}"

    @property
    def ships(self) -> bool:
        return self.kind in ("plain", "flaky card", "approved")

    @property
    def total(self) -> Decimal:
        return sum((line["quantity"] * Decimal(line["unit_price"]) for line in self.order["lines"]), Decimal(0))

    @property
    def quantities(self) -> Counter[str]:
        return Counter({line["sku"]: line["quantity"] for line in self.order["lines"]})


def purchases(count: int, rng: random.Random) -> list[Purchase]:
    return [_purchase(str(number), *rng.choices(list(KINDS), list(KINDS.values())), rng) for number in range(count)]


def _purchase(order_id: str, kind: str, rng: random.Random) -> Purchase:
    skus = rng.sample(list(PRICES), rng.randint(1, 2))
    lines = [{"sku": sku, "quantity": rng.randint(1, 2), "unit_price": str(PRICES[sku])} for sku in skus]
    if kind in ("approved", "refused"):
        lines = [{"sku": "SCREEN", "quantity": 4, "unit_price": "320.50"}]  # over the limit
    if kind == "sold out":
        lines.append({"sku": "SOLD-OUT", "quantity": 1, "unit_price": "1.00"})
    card = {"flaky card": "flaky", "card declined": "declined"}.get(kind, "4242")
    customer = "nowhere" if kind == "no such address" else "Ada"
    return Purchase(kind=kind, order={"order_id": order_id, "customer": customer, "card": card, "lines": lines})


class Monkey:
    """Kills live processes of the functions, warm or at work, whichever it meets.

    One for so many messages, however fast this machine works on them.
    """

    def __init__(self, aws: LocalAws, functions: Mapping[str, float], rng: random.Random, *, messages: float) -> None:
        self.killed: dict[int, float] = {}  # process ids, and when
        self.kills: Counter[str] = Counter()
        self._aws, self._functions, self._rng, self._messages = aws, functions, rng, messages
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._rage)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _rage(self) -> None:
        next_kill = self._pause()
        while not self._stop.wait(0.1):
            deliveries = self._aws.usage().deliveries
            received = sum(count for (_, fate), count in deliveries.items() if fate == "received")
            while next_kill <= received:
                self._kill()
                next_kill += self._pause()

    def _pause(self) -> float:
        return self._rng.expovariate(1 / self._messages)

    def _kill(self) -> None:
        (function,) = self._rng.choices(list(self._functions), list(self._functions.values()))
        pids = sorted(self._aws.worker_pids(function))
        if not pids:
            return
        pid = self._rng.choice(pids)
        with suppress(ProcessLookupError):
            self.killed[pid] = time.time()
            os.kill(pid, signal.SIGKILL)
            self.kills[function] += 1


class Customers:
    """Each orders over the API, answers when asked, and waits for the end; so many are served at a time."""

    def __init__(self, stack: Stack, world: AWSWorld, purchases: list[Purchase], *, at_once: int) -> None:
        self.ended: dict[str, str] = {}  # runs, and their last status
        self.repeated = 0  # requests whose function died
        self._stack, self._world, self._purchases = stack, world, purchases
        self._pool = ThreadPoolExecutor(at_once)
        self._asking = threading.Semaphore(4)  # each at once is a process of its own
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        self._buying = [self._pool.submit(self._buy, purchase) for purchase in self._purchases]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)

    def served(self, share: float, within: float) -> None:
        """Waits until that share of the orders has ended."""
        deadline = time.monotonic() + within
        while len(self.ended) < share * len(self._purchases):
            for bought in self._buying:
                if bought.done():
                    bought.result()
            if time.monotonic() > deadline:
                missing = [one.run_id for one in self._purchases if one.run_id not in self.ended]
                raise AssertionError(f"after {within:g} s, {len(missing)} orders have not ended: {missing[:20]}")
            time.sleep(0.2)

    def _buy(self, purchase: Purchase) -> None:
        run_id = purchase.run_id
        body = {"workflow": "fulfil_order", "input": {"order": purchase.order}, "run_id": run_id}
        started = self._insist("/runs", body, f"start-{run_id}")
        assert started.status in (200, 201), started  # 200 where the function was killed after it had started the run
        if purchase.kind in ("approved", "refused"):
            answer = {"approved": purchase.kind == "approved", "by": "Grace"}
            told = self._insist(f"/runs/{run_id}/signals/approval", answer, f"approve-{run_id}")
            assert told.status == 202, told
        while not self._stop.wait(1.5):
            record = self._world.get_run(run_id)
            if record is not None and record.status in ENDED:
                self.ended[run_id] = record.status
                return

    def _insist(self, path: str, body: Any, key: str) -> Answer:
        """Asks until there is an answer: its function may be killed, and the key is in use until that is noticed."""
        while True:
            with self._asking, suppress(HTTPClientError):
                answer = self._stack.call("POST", path, body, {"Idempotency-Key": key})
                if answer.status < 500 and not (answer.status == 409 and "in use" in str(answer.body)):
                    return answer
            self.repeated += 1
            assert not self._stop.wait(1), "the customers were sent home"


def doubled(shop: str) -> Iterator[tuple[str, list[tuple[int, float, float | None]]]]:
    """Attempts that ran more than once, each with the process, the beginning and the end of its runs."""
    with visit(shop) as books:
        twice = "SELECT key, attempt FROM calls GROUP BY key, attempt HAVING COUNT(*) > 1"
        for key, attempt in books.execute(twice).fetchall():
            runs = "SELECT pid, began, ended FROM calls WHERE key = ? AND attempt = ? ORDER BY began"
            yield f"{key}, attempt {attempt}", books.execute(runs, (key, attempt)).fetchall()
