"""A durable order through the deployed template: `make demo`.

Starts a local AWS, deploys the template with the real `sam deploy`, starts an order over the HTTP API, shows each
event as it happens, approves the order with a signal, waits through its sleep, and prints what it came to, when, and
at what price.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table

from worldflow.console.server import beside
from worldflow.devtools.bills import COMPUTE, bill
from worldflow.devtools.local_aws import LocalAws
from worldflow.devtools.local_aws.launcher import LocalAwsError, Usage
from worldflow.devtools.stack import Answer, DeploymentError, Stack, deploy, parameters_of_this_machine
from worldflow.engine.history import Event, TimerStarted
from worldflow.presentation import EventLines, describe_event, timeline
from worldflow.settings import Settings
from worldflow.worlds import AWSWorld

DIRECTORY = Path(".local-aws")
PATIENCE = 120.0  # seconds that the order may take
ENDED = {"completed", "failed", "cancelled", "blocked"}

ORDER = {
    "order_id": "1001",
    "customer": "Ada",
    "card": "flaky",  # this bank answers at the second attempt
    "lines": [
        {"sku": "KEYBOARD", "quantity": 2, "unit_price": "150.00"},
        {"sku": "SCREEN", "quantity": 3, "unit_price": "320.50"},
    ],
}

console = Console(highlight=False, soft_wrap=True)


class DemoFailed(Exception):
    """The order did not come to its end; the message says why."""


class Caller(Protocol):
    """Calls the API of a stack."""

    def call(self, method: str, path: str, body: Any = None) -> Answer: ...


def main() -> int:
    try:
        with LocalAws(DIRECTORY / "demo") as aws:
            console.print(
                f"A local AWS answers at {aws.endpoint_url}. Deploying the template to it with sam deploy ..."
            )
            began = time.monotonic()
            stack = deploy(aws, DIRECTORY / "build/template.yaml", parameters=parameters_of_this_machine())
            console.print(f"Deployed in {time.monotonic() - began:.0f} s. The API is {stack.outputs['ApiUrl']}\n")
            run_order(stack)
    except (DemoFailed, DeploymentError, LocalAwsError) as error:
        stderr = Console(stderr=True, highlight=False, soft_wrap=True)
        stderr.print(f"The demo failed: {error}", style="red", markup=False)
        return 1
    return 0


def run_order(stack: Stack) -> None:
    # What only watches is not counted: nobody has to watch a run for it to go on.
    os.environ.update(stack.aws.env)
    world = AWSWorld(Settings.from_environment(stack.environment), session=stack.aws.observer())
    stack.aws.reset_usage()
    with beside(world) as url:
        console.print(f"The console shows it at {url} until the demo ends.\n")
        run_order_of(stack, world)


def run_order_of(stack: Stack, world: AWSWorld) -> None:
    console.print("POST /runs", style="bold", end="  ")
    answer = stack.call(
        "POST", "/runs", {"workflow": "fulfil_order", "run_id": "order-1001", "input": {"order": ORDER}}
    )
    if answer.status == 422:
        raise DemoFailed(
            "the project has no workflow `fulfil_order`, the example that the demo runs. `make local-aws` and "
            "`make deploy-local` run your workflows."
        )
    expect(201, answer)
    console.print(f"{answer.status} {answer.body}")

    events = follow(stack, world, "order-1001")
    record = world.read_run("order-1001")
    usage = stack.aws.usage()
    if record.status != "completed":
        raise DemoFailed(f"the order is {record.status}: {record.error or record.blocked_reason}")
    console.print("\nResult", style="bold")
    console.print(record.result)
    console.print("\nTimeline", style="bold")
    console.print(timeline(events))
    console.print("\nWhat this run would have cost on AWS, based on the requests it made", style="bold")
    console.print(price_table(usage))


def follow(stack: Caller, world: AWSWorld, run_id: str) -> list[Event]:
    """Shows the events of a run as they happen, and answers it when it asks for approval."""
    events: list[Event] = []
    lines = EventLines()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for event in world.read_events(run_id, events[-1].seq if events else 0):
            events.append(event)
            console.print(lines.line(event))
            if isinstance(event, TimerStarted) and (event.due - event.at).days:
                approve(stack, run_id)
        if world.read_run(run_id).status in ENDED:
            return events + world.read_events(run_id, events[-1].seq)
        time.sleep(0.1)
    last = describe_event(events[-1]).plain if events else "none"
    raise DemoFailed(f"the order did not end within {PATIENCE:g} s; its last event: {last}")


def approve(stack: Caller, run_id: str) -> None:
    console.print("       The total is over 1,000: the workflow waits for a signal, for up to three days.")
    console.print(f"POST /runs/{run_id}/signals/approval", style="bold", end="  ")
    answer = stack.call("POST", f"/runs/{run_id}/signals/approval", {"approved": True, "by": "Grace"})
    expect(202, answer)
    console.print(f"{answer.status} {answer.body}")


def expect(status: int, answer: Answer) -> Any:
    if answer.status != status:
        raise DemoFailed(f"the API answered {answer.status}: {answer.body}")


def price_table(usage: Usage) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("amount", justify="right")
    table.add_column("dollars per million runs", justify="right")
    charges = bill(usage)
    for charge in charges:
        table.add_row(charge.what, f"{charge.amount:,.4g}", f"{charge.dollars * 1e6:,.2f}")
    requests = sum(charge.dollars for charge in charges if charge.what != COMPUTE)
    table.add_row("all requests", "", f"{requests * 1e6:,.2f}", style="bold")
    table.caption = (
        f"{COMPUTE} are those of this machine, with the cold start of every function. Excludes timeouts of steps."
    )
    table.caption_justify = "left"
    return table


if __name__ == "__main__":
    sys.exit(main())
