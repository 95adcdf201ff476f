"""`python -m worldflow.aws_setup setup|status|teardown`.

What an application needs to know goes to stdout as `export` lines, for `eval "$(...)"`; all else goes to stderr.
"""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from worldflow.aws_setup import EVENTS_TABLE, RUNS_TABLE, STEP_QUEUE, Infrastructure, Resources
from worldflow.terminal import application

app = application(
    "python -m worldflow.aws_setup",
    "Create Worldflow's tables and queues in your AWS account without the template. Deploys no functions.",
)

Region = Annotated[str | None, typer.Option(help="AWS region; default: AWS_REGION or that of the profile.")]
EventsTable = Annotated[str, typer.Option(help="Name of the events table.")]
RunsTable = Annotated[str, typer.Option(help="Name of the runs table.")]
StepQueue = Annotated[
    str, typer.Option(help="Name of the step queue; must end in steps.fifo. The other resources are named after it.")
]
PayloadBucket = Annotated[
    str | None, typer.Option(help="Name of the bucket for large values; default: named after the step queue.")
]
StepQueues = Annotated[
    str, typer.Option(metavar="NAME,NAME", help="Names of further step queues, such as heavy,gpu.", show_default=False)
]


@app.command()
def setup(
    region: Region = None,
    events_table: EventsTable = EVENTS_TABLE,
    runs_table: RunsTable = RUNS_TABLE,
    step_queue: StepQueue = STEP_QUEUE,
    payload_bucket: PayloadBucket = None,
    step_queues: StepQueues = "",
) -> None:
    """Create missing resources, fix wrong settings, and print the environment variables for an application."""
    infrastructure = _infrastructure(region, events_table, runs_table, step_queue, payload_bucket, step_queues)
    changes = infrastructure.fix(on_change=_say)
    _say("Ready." if changes else "Nothing to do.")
    _print_environment(infrastructure.resources())


@app.command()
def status(
    region: Region = None,
    events_table: EventsTable = EVENTS_TABLE,
    runs_table: RunsTable = RUNS_TABLE,
    step_queue: StepQueue = STEP_QUEUE,
    payload_bucket: PayloadBucket = None,
    step_queues: StepQueues = "",
) -> None:
    """Print the environment variables; or list missing resources and wrong settings, and exit with 1."""
    infrastructure = _infrastructure(region, events_table, runs_table, step_queue, payload_bucket, step_queues)
    faults = list(infrastructure.faults())
    for fault in faults:
        _say(str(fault))
    if faults:
        _say("Run `setup` to fix this.")
        raise typer.Exit(1)
    _say("Everything is set up.")
    _print_environment(infrastructure.resources())


@app.command()
def teardown(
    region: Region = None,
    events_table: EventsTable = EVENTS_TABLE,
    runs_table: RunsTable = RUNS_TABLE,
    step_queue: StepQueue = STEP_QUEUE,
    payload_bucket: PayloadBucket = None,
    step_queues: StepQueues = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
) -> None:
    """Delete all of these resources, with all runs and their histories."""
    infrastructure = _infrastructure(region, events_table, runs_table, step_queue, payload_bucket, step_queues)
    # What refers to another goes before it.
    parts = [part for part in reversed(infrastructure.parts) if part.exists()]
    if not parts:
        _say("Nothing to do.")
        return
    for part in parts:
        _say(str(part))
    if not yes:
        question = f"Delete these resources in {infrastructure.region}, with all runs and their histories?"
        typer.confirm(question, abort=True, err=True)
    for part in parts:
        part.remove()
        _say(f"{part}: deleted")


def _infrastructure(
    region: str | None,
    events_table: str,
    runs_table: str,
    step_queue: str,
    payload_bucket: str | None,
    step_queues: str,
) -> Infrastructure:
    return Infrastructure(
        region=region,
        events_table=events_table,
        runs_table=runs_table,
        step_queue=step_queue,
        payload_bucket=payload_bucket,
        step_queues=[name.strip() for name in step_queues.split(",") if name.strip()],
    )


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _print_environment(resources: Resources) -> None:
    for name, value in {"AWS_REGION": resources.region, **resources.environment()}.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    app()
