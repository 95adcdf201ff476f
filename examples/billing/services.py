"""The payment provider and the mail, as far as the example needs them."""

import asyncio
from decimal import Decimal

from worldflow import FatalError


class CardDeclined(FatalError):
    """Not retried: the customer has to do something."""


class Provider:
    def __init__(self) -> None:
        self.charges: dict[str, Decimal] = {}
        """What was charged, by invoice."""

    async def charge(self, card: str, amount: Decimal, invoice: str) -> None:
        """A repeated request for an invoice has no effect."""
        await asyncio.sleep(0)
        if card.startswith("expired"):
            raise CardDeclined("the card has expired")
        self.charges.setdefault(invoice, amount)


class Outbox:
    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    async def send(self, to: str, text: str) -> None:
        await asyncio.sleep(0)
        self.sent.append((to, text))


provider, outbox = Provider(), Outbox()
