"""The commands about workflows as a whole: `python -m worldflow workflows ...`."""

from __future__ import annotations

from time import monotonic
from typing import Annotated

import typer
from rich.table import Table

from worldflow.cli.asking import user
from worldflow.cli.bulk import interval, wait_until
from worldflow.cli.common import AsJson, Local, Reason, Stack, open_world, print_json
from worldflow.presentation.doing import paused
from worldflow.runtime import workflow_pauses
from worldflow.terminal import application, console

workflows = application("workflows", "Pause workflows, so that their new runs wait, and let them continue.")

Name = Annotated[str, typer.Argument(metavar="WORKFLOW", help="The workflow's name.")]


@workflows.command(name="paused")
def paused_(local: Local = None, stack: Stack = None, as_json: AsJson = False) -> None:
    """List the workflows that are paused."""
    with open_world(local, stack) as world:
        found = workflow_pauses.paused_workflows(world)
    if as_json:
        print_json({"workflows": [pause.describe() for pause in found]})
    elif found:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in ("workflow", "paused"):
            table.add_column(column, overflow="fold")
        for pause in found:
            table.add_row(pause.workflow, paused(pause) + ("; being unpaused" if pause.ending else ""))
        console().print(table)
    else:
        typer.echo("No workflow is paused.", err=True)


@workflows.command()
def pause(
    workflow: Name,
    reason: Reason = None,
    open_runs: Annotated[bool, typer.Option("--open-runs", help="Pause its open runs, too.")] = False,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Let no further run of a workflow begin: new runs wait as `paused`."""
    with open_world(local, stack) as world:
        made = workflow_pauses.pause_workflow(world, workflow, reason, by=user(), open_runs=open_runs)
    if as_json:
        print_json(made.describe())
    else:
        typer.echo(f"Paused workflow {workflow} {paused(made)}.")


@workflows.command()
def unpause(
    workflow: Name,
    rate: Annotated[
        str, typer.Option(metavar="N/s", help="The most waiting runs in a second (/s) or minute (/m).")
    ] = "20/s",
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Let runs of a workflow begin again: new runs at once, waiting runs one after the other, oldest first.

    If it is interrupted, run it again for the runs that are left.
    """
    seconds, unpaused = interval(rate), list[str]()
    with open_world(local, stack) as world:
        due = monotonic()
        for run_id in workflow_pauses.unpause_workflow(world, workflow):
            unpaused.append(run_id)
            due = max(due + seconds, monotonic())
            wait_until(due)
    if as_json:
        print_json({"workflow": workflow, "unpaused": unpaused})
    else:
        typer.echo(f"Unpaused workflow {workflow}. Waiting runs that continue: {len(unpaused):,}.")
