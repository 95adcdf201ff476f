"""The shop's services, as far as the example needs them. They keep what they did in memory.

Each takes an idempotency key, and answers a repeated request as it answered the first.
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

    async def reserve(self, sku: str, quantity: int, key: str) -> str:
        await asyncio.sleep(self.latency)
        if key not in self.reservations:
            if self.stock.get(sku, 0) < quantity:
                raise OutOfStock(f"{sku} is out of stock")
            self.stock[sku] -= quantity
            self.reservations[key] = (sku, quantity)
        return key

    async def release(self, reservation: str) -> None:
        await asyncio.sleep(self.latency / 4)
        if reservation in self.reservations:
            sku, quantity = self.reservations.pop(reservation)
            self.stock[sku] += quantity


class Bank:
    latency = 0.0

    def __init__(self) -> None:
        self.charges: dict[str, Decimal] = {}
        self.requests = 0

    async def charge(self, card: str, amount: Decimal, key: str) -> str:
        self.requests += 1
        await asyncio.sleep(self.latency)
        if card == "declined":
            raise CardDeclined("the card was declined")
        if card == "flaky" and self.requests == 1:
            raise ConnectionError("the bank did not answer")
        self.charges[key] = amount
        return key

    async def refund(self, charge: str) -> None:
        await asyncio.sleep(self.latency / 4)
        self.charges.pop(charge, None)


class Couriers:
    latency = 0.0

    def __init__(self) -> None:
        self.parcels: set[str] = set()

    async def book(self, address: str, key: str) -> str:
        await asyncio.sleep(self.latency)
        if address == "the moon":
            raise NoCourier(f"no courier goes to {address}")
        self.parcels.add(f"PARCEL-{key}")
        return f"PARCEL-{key}"

    async def cancel(self, parcel: str) -> None:
        await asyncio.sleep(self.latency / 4)
        self.parcels.discard(parcel)


warehouse = Warehouse(KEYBOARD=10, SCREEN=10)
bank = Bank()
couriers = Couriers()
