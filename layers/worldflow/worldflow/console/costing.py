"""What a run costs, where boto3 is there: the prices' code derives requests with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worldflow.token_prices import Prices
from worldflow.worlds.base import World

if TYPE_CHECKING:
    from worldflow.costs import RunCosts


def costs(world: World, run_id: str, token_prices: Prices) -> tuple[RunCosts, str] | None:
    """What a run costs, and whose prices these are; None without boto3, and for a run that has not begun."""
    try:
        from worldflow.costs import costs_of, prices
    except ModuleNotFoundError as error:
        if error.name not in ("boto3", "botocore"):
            raise
        return None
    found = costs_of(world, run_id, token_prices)
    return (found, f"{prices.REGION}, {prices.AS_OF}") if found.has_begun else None
