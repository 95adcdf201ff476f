"""What a run costs, where boto3 is there: the prices' code derives requests with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worldflow.worlds.base import World

if TYPE_CHECKING:
    from worldflow.costs import Bill, Elsewhere


@dataclass(frozen=True, slots=True)
class Costs:
    bills: Sequence[Bill]
    elsewhere: Sequence[Elsewhere]
    prices: str


def bill(world: World, run_id: str) -> Costs | None:
    """The bills of a run, at 1 and at 10 messages in a batch; None without boto3, and for a run that has not begun."""
    try:
        from worldflow.costs import bill_of, commits_of, count, elsewhere, prices, shape_of
    except ModuleNotFoundError as error:
        if error.name not in ("boto3", "botocore"):
            raise
        return None
    commits, _ = commits_of(world, run_id)
    if not commits:
        return None
    asked = count(run_id, commits)
    others = elsewhere(shape_of([event for commit in commits for event in commit]))
    return Costs([bill_of(asked, size) for size in (1, 10)], others, f"{prices.REGION}, {prices.AS_OF}")
