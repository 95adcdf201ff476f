"""The command that says what a run costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from worldflow.cli.common import (
    AsJson,
    Local,
    RunId,
    Stack,
    open_world,
    print_json,
)
from worldflow.engine.errors import ConfigurationError
from worldflow.engine.ids import generation as generation_of
from worldflow.engine.ids import generation_id
from worldflow.terminal import console
from worldflow.token_prices import VARIABLE, Priced, load_prices, sum_of, unpriced
from worldflow.turns.generations import newest_generation, read_record
from worldflow.worlds.base import World

if TYPE_CHECKING:
    from worldflow.costs import Asked, Bill, Deployment, Elsewhere

EXACT = (
    "Derived from the history: requests of warm processes, for messages delivered once, of a run that was started and "
    "signalled with the library, plus logs and storage. Not included: compute, child runs (each has its own bill), and "
    "the monthly cost of the stack."
)


TokenPrices = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        help='JSON with dollars per million tokens: {"model": {"input": 3, "output": 15}}; '
        "default: that of WORLDFLOW_TOKEN_PRICES.",
    ),
]


def cost(
    run_id: RunId,
    batch: Annotated[
        int | None,
        typer.Option(min=1, max=10, metavar="N", help="Messages to runs that arrive in one batch; default: 1 and 10."),
    ] = None,
    generation: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Generation of the run; default: the newest.")
    ] = None,
    step_batch: Annotated[
        int | None,
        typer.Option(
            min=1, max=10, metavar="N", help="The stack's StepBatchSize; default: that of --stack, otherwise 1."
        ),
    ] = None,
    traced: Annotated[bool, typer.Option("--traced", help="Include X-Ray traces.")] = False,
    event_bus: Annotated[
        bool, typer.Option("--event-bus", help="Include status events, as sent by a stack with an EventBusName.")
    ] = False,
    token_prices: TokenPrices = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Show which AWS requests a run made, derived from its history, what a million such runs would cost, and the price
    of the tokens that its steps recorded.
    """
    _require_boto3()
    from worldflow.costs import Deployment, costs_of
    from worldflow.stacks import read_parameters

    prices = load_prices(token_prices)
    parameters = read_parameters(stack) if stack else {}
    event_bus = event_bus or bool(parameters.get("EventBusName"))
    deployment = Deployment(
        step_batch=step_batch or int(parameters.get("StepBatchSize", 1)),
        traced=traced or parameters.get("Tracing") == "XRay",
    )
    batches = [batch] if batch else [1, 10]
    with open_world(local, stack) as world:
        run_id, which = _generation(world, run_id, generation)
        found = costs_of(world, run_id, prices, batches=batches, deployment=deployment, event_bus=event_bus)
    asked, bills, others, tokens = found.asked, found.bills, found.elsewhere, found.tokens
    if as_json:
        print_json({**_as_json(run_id, asked, bills, others, deployment, event_bus), **_tokens(tokens, bills)})
        return
    if not found.has_begun:
        typer.echo("The run has not started yet.", err=True)
        return
    out = console()
    out.print(f"{run_id}{which}\n")
    _print(out, asked, bills, others, tokens)


def _require_boto3() -> None:
    try:
        import worldflow.costs  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name not in ("boto3", "botocore"):
            raise
        raise ConfigurationError('`cost` requires boto3: pip install "worldflow[aws]"') from None


def _as_json(
    run_id: str,
    asked: Asked,
    bills: Sequence[Bill],
    others: Sequence[Elsewhere],
    deployment: Deployment,
    event_bus: bool,
) -> dict[str, Any]:
    from worldflow.costs import prices

    return {
        "run_id": run_id,
        "requests": asked.requests,
        "write_units": asked.write_units,
        "read_units": asked.read_units,
        "messages": asked.messages,
        "traced": deployment.traced,
        "event_bus": event_bus,
        "batches": {
            bill.batch: {
                "step_batch": bill.step_batch,
                "dollars": bill.dollars,
                "requests": bill.requests,
                "charges": {charge.what: {**asdict(charge), "dollars": charge.dollars} for charge in bill.charges},
            }
            for bill in bills
        },
        "elsewhere": {other.name: {"dollars": other.dollars, "how": other.how} for other in others},
        "estimated": asked.estimated,
        "prices": f"{prices.REGION}, {prices.AS_OF}",
    }


def _tokens(tokens: Sequence[Priced], bills: Sequence[Bill]) -> dict[str, Any]:
    """The tokens in JSON, and the dollars of AWS and of tokens together, where there are tokens."""
    if not tokens:
        return {}
    dollars = sum_of(tokens)
    return {
        "tokens": [{**part.entry, "dollars": part.dollars} for part in tokens],
        "token_dollars": dollars,
        "without_price": unpriced(tokens),
        "dollars": {bill.batch: bill.dollars + dollars for bill in bills},
    }


def _print(
    out: Console, asked: Asked, bills: Sequence[Bill], others: Sequence[Elsewhere], tokens: Sequence[Priced]
) -> None:
    from worldflow.costs import prices
    from worldflow.presentation.costs import bill_table, elsewhere_table
    from worldflow.presentation.usage import usage_table
    from worldflow.presentation.words import printable

    out.print(bill_table(bills))
    out.print("\nThe same run on other services, without Lambda compute")
    out.print(elsewhere_table(others))
    out.print(f"\nPrices: {prices.REGION}, {prices.AS_OF}. {EXACT}")
    for what in asked.estimated:
        out.print(f"Estimated or not counted: {what}")
    bill = bills[-1]
    if not tokens:
        out.print(f"One run: ${bill.dollars:.8f} at batch {bill.batch}.", style="dim")
        return
    out.print("\nTokens of this run, by the prices that you gave")
    out.print(usage_table(tokens))
    for model in unpriced(tokens):
        out.print(f"No price for {printable(model)}: name one in --token-prices or {VARIABLE}. Its tokens cost extra.")
    dollars = sum_of(tokens)
    total = f"${bill.dollars + dollars:.6f}: ${bill.dollars:.6f} of AWS at batch {bill.batch}, ${dollars:.6f} of tokens"
    out.print(f"\nOne run: {total}.", style="bold")


def _generation(world: World, run_id: str, wanted: int | None) -> tuple[str, str]:
    """The id of the generation that is meant, and which it is of how many, where there are several."""
    base, number = generation_of(run_id)
    newest_id = newest_generation(world, read_record(world, run_id)).run_id
    _, newest = generation_of(newest_id)
    if wanted is None:
        # A later generation that is named by its own id is the one that is meant.
        wanted = newest if number == 1 else number
    which = f", generation {wanted} of {newest}" if newest > 1 else ""
    return generation_id(base, wanted), which
