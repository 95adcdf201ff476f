"""What one run costs, as the command line, assistants and the console say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worldflow.costs.bills import Bill, Deployment, Elsewhere, bill_of, elsewhere, shape_of
from worldflow.costs.commits import commits_of, streams_of
from worldflow.costs.counting import count
from worldflow.costs.metering import Asked
from worldflow.engine.history.state import RunState
from worldflow.token_prices import Priced, Prices, priced
from worldflow.worlds.base import World

_DERIVED = "commits: an archive does not record them, so they are derived from the times of the events"


@dataclass(frozen=True, slots=True)
class RunCosts:
    asked: Asked
    bills: Sequence[Bill]
    """By the number of messages in a batch."""
    elsewhere: Sequence[Elsewhere]
    tokens: Sequence[Priced]
    has_begun: bool


def costs_of(
    world: World,
    run_id: str,
    prices: Prices,
    *,
    batches: Sequence[int] = (1, 10),
    deployment: Deployment | None = None,
    event_bus: bool = False,
) -> RunCosts:
    """What a run has cost until now. Raises `RunNotFoundError`.

    prices: those of tokens.
    """
    commits, as_written = commits_of(world, run_id)
    asked = count(run_id, commits, streams_of(world, run_id), event_bus=event_bus)
    if not as_written:
        asked.estimated.insert(0, _DERIVED)
    history = [event for commit in commits for event in commit]
    tokens = priced(RunState(history).usage.entries(), prices)
    bills = [bill_of(asked, size, deployment or Deployment()) for size in batches]
    return RunCosts(asked, bills, elsewhere(shape_of(history)), tokens, bool(commits))
