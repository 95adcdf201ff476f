"""A fake of a payment provider, which reports what happens to a payment by signed webhooks, and a box office.

Like real ones, the provider may send an event twice, and events in any order.
"""

import asyncio
import hashlib
import hmac
import itertools
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple


class Notification(NamedTuple):
    """A request to a webhook."""

    url: str
    body: bytes
    headers: dict[str, str]


@dataclass
class Payment:
    amount: Decimal
    callback: str
    state: str = "open"


class Provider:
    secret = b"shared with the box office"

    def __init__(self) -> None:
        self.payments: dict[str, Payment] = {}
        self._ids = itertools.count(1)

    async def open(self, amount: Decimal, callback: str, key: str) -> str:
        await asyncio.sleep(0)
        self.payments.setdefault(key, Payment(amount, callback))
        return key

    async def close(self, payment: str) -> None:
        await asyncio.sleep(0)
        state = self.payments[payment].state
        self.payments[payment].state = "refunded" if state == "captured" else "closed"

    def report(self, payment: str, kind: str) -> Notification:
        """Something happens to a payment. Returns what its callback is to be told."""
        self.payments[payment].state = kind
        body = json.dumps({"id": f"evt_{next(self._ids)}", "payment": payment, "kind": kind}).encode()
        return Notification(self.payments[payment].callback, body, {"X-Signature": self._signature(body)})

    def has_signed(self, body: bytes, signature: str) -> bool:
        return hmac.compare_digest(self._signature(body), signature)

    def _signature(self, body: bytes) -> str:
        return hmac.new(self.secret, body, hashlib.sha256).hexdigest()


class BoxOffice:
    def __init__(self) -> None:
        self.held: set[tuple[str, str]] = set()

    async def hold(self, show: str, seats: list[str]) -> None:
        await asyncio.sleep(0)
        self.held.update((show, seat) for seat in seats)

    async def free(self, show: str, seats: list[str]) -> None:
        await asyncio.sleep(0)
        self.held.difference_update((show, seat) for seat in seats)


provider, box_office = Provider(), BoxOffice()
