"""The shop's services, as far as the example needs them. They keep what they did in memory.

Each takes an idempotency key, and answers a repeated request as it answered the first. To undo what was not done does
nothing.
"""

import asyncio
from decimal import Decimal

from worldflow import FatalError


class OutOfStock(FatalError):
    """Not retried: a retry does not fill the shelf."""


class CardDeclined(FatalError):
    """Not retried: the bank's answer is final."""


class NoCourier(FatalError):
    """No courier goes to the address."""


class Warehouse:
    latency = 0.0

    def __init__(self, **stock: int) -> None:
        self.stock = stock
        self.reservations: dict[str, tuple[str, int]] = {}

    async def reserve(self, sku: str, quantity: int, key: str) -> None:
        await asyncio.sleep(self.latency)
        if key not in self.reservations:
            if self.stock.get(sku, 0) < quantity:
                raise OutOfStock(f"{sku} is out of stock")
            self.stock[sku] -= quantity
            self.reservations[key] = (sku, quantity)

    async def release(self, key: str) -> None:
        await asyncio.sleep(self.latency / 4)
        if key in self.reservations:
            sku, quantity = self.reservations.pop(key)
            self.stock[sku] += quantity


class Bank:
    latency = 0.0

    def __init__(self) -> None:
        self.charges: dict[str, Decimal] = {}
        self.requests = 0

    async def charge(self, card: str, amount: Decimal, key: str) -> None:
        self.requests += 1
        await asyncio.sleep(self.latency)
        if card == "declined":
            raise CardDeclined("the card was declined")
        self.charges[key] = amount
        if (card == "flaky" and self.requests == 1) or card == "unlucky":
            raise ConnectionError("the bank's answer was lost")

    async def refund(self, key: str) -> None:
        await asyncio.sleep(self.latency / 4)
        self.charges.pop(key, None)


class Couriers:
    latency = 0.0

    def __init__(self) -> None:
        self.parcels: dict[str, str] = {}

    async def book(self, address: str, key: str) -> str:
        await asyncio.sleep(self.latency)
        if address == "the moon":
            raise NoCourier(f"no courier goes to {address}")
        return self.parcels.setdefault(key, f"PARCEL-{len(self.parcels) + 1}")

    async def cancel(self, key: str) -> None:
        await asyncio.sleep(self.latency / 4)
        self.parcels.pop(key, None)


warehouse = Warehouse(KEYBOARD=10, SCREEN=10)
bank = Bank()
couriers = Couriers()
