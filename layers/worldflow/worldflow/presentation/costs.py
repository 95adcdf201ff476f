"""What a run costs, as people read it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from worldflow.costs import Bill, Elsewhere, prices


def bill_table(bills: Sequence[Bill]) -> Table:
    """The bills of one run, side by side: one for each number of messages in a batch. Requests come first."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for bill in bills:
        steps = "" if bill.step_batch == bill.batch else f", {bill.step_batch} of steps"
        table.add_column(f"batch of {bill.batch}{steps}", justify="right", no_wrap=True)
        table.add_column("$ per million", justify="right", no_wrap=True)
    for charges in zip(*(bill.charges for bill in bills), strict=True):
        cells = (cell for charge in charges for cell in (f"{charge.amount:,.4g}", dollars(charge.dollars)))
        table.add_row(charges[0].what, *cells)
    table.add_row("all requests", *(cell for bill in bills for cell in ("", dollars(bill.requests))), style="dim")
    table.add_row("all", *(cell for bill in bills for cell in ("", dollars(bill.dollars))), style="bold")
    return table


def elsewhere_table(others: Sequence[Elsewhere]) -> Table:
    """What the same run would have cost elsewhere."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("$ per million", justify="right", no_wrap=True)
    table.add_column("", style="dim", overflow="fold")
    for other in others:
        table.add_row(other.name, "-" if other.dollars is None else dollars(other.dollars), other.how)
    return table


def dollars(amount: float) -> str:
    """The price of a million, in dollars."""
    return f"{amount * prices.MILLION:,.2f}"
