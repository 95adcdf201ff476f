"""What the shop on the pages of the guide is made of."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel

from worldflow import FatalError


class Order(BaseModel):
    order_id: str = "1001"
    card: str = "4242"
    total: Decimal = Decimal(30)


class Receipt(BaseModel):
    charge_id: str
    amount: Decimal = Decimal(30)


class Approval(BaseModel):
    approved: bool
    by: str


class Item(BaseModel):
    sku: str
    quantity: int = 1


class CardDeclined(FatalError):
    """The bank's answer is final."""


ORDER = Order()
