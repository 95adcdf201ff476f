"""The commands that make runs."""

from __future__ import annotations

import re
import secrets
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from worldflow.cli.common import (
    FIRST_POLL,
    LONGEST_POLL,
    AsJson,
    Local,
    Modules,
    load,
    open_world,
    print_json,
    read_json,
)
from worldflow.engine.definitions import Workflow, find_workflow
from worldflow.engine.errors import WorkflowNotFoundError, WorldflowError
from worldflow.presentation import run_details
from worldflow.runtime import requests
from worldflow.runtime.loading import explain_failures
from worldflow.terminal import console
from worldflow.worlds.base import RunRecord, World


def start(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.")],
    input: Annotated[
        str | None,
        typer.Option(metavar="JSON|@FILE|-", help="Its arguments by name: a JSON object, a file of it, or stdin."),
    ] = None,
    run_id: Annotated[str | None, typer.Option(help="The run's id; a new one unless given.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the run to end; exit with 1 unless it completes.")
    ] = False,
    workflows: Modules = "",
    local: Local = None,
    as_json: AsJson = False,
) -> None:
    """Start a run. With the id of a run that exists it starts nothing, and shows that run."""
    arguments = read_json(input, "--input") if input is not None else {}
    if not isinstance(arguments, dict):
        raise typer.BadParameter("must be a JSON object of the arguments by name", param_hint="--input")
    known = _known_workflow(workflow, workflows)
    if isinstance(known, Workflow):
        # What JSON cannot say, such as a date, is what the workflow's annotations make of it.
        arguments = known.signature.decode(arguments)
    run_id = run_id or _new_run_id(workflow)
    with open_world(local, create=True) as world:
        _, is_new = requests.start(world, run_id, known, arguments)
        record = _wait(world, run_id) if wait else world.read_run(run_id)
    if as_json:
        print_json({**record.describe(), "created": is_new})
    elif wait:
        console().print(run_details(record))
    else:
        typer.echo(record.run_id)
        if not is_new:
            typer.echo(f"It exists already, and is {record.status}.", err=True)
    if wait and record.status != "completed":
        raise typer.Exit(1)


def _known_workflow(name: str, modules: str) -> Workflow[..., Any] | str:
    """The workflow, if modules are named that should have it; else its name, and its input is checked when it runs."""
    if not modules:
        return name
    load(modules)
    try:
        return find_workflow(name)
    except WorkflowNotFoundError as error:
        raise WorldflowError(f"{error.summary}{explain_failures()}") from None


def _new_run_id(workflow: str) -> str:
    """An id that says what runs since when, and that nobody else has."""
    name = re.sub(r"[^A-Za-z0-9_.:-]", "", workflow).lstrip("_.:-")[:60] or "run"
    return f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def _wait(world: World, run_id: str) -> RunRecord:
    """The record of a run that has ended, or that is blocked."""
    pause = FIRST_POLL
    while not (record := world.read_run(run_id)).ended and record.status != "blocked":
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_POLL)
    return record
