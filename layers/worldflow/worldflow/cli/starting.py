"""The commands that make runs."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import typer

from worldflow import clock
from worldflow.cli import bulk
from worldflow.cli.common import (
    AsJson,
    Local,
    Modules,
    Quiet,
    Stack,
    load,
    open_world,
    pauses,
    print_json,
    read_json,
)
from worldflow.engine.errors import WorkflowNotFoundError, WorldflowError
from worldflow.engine.workflow.definitions import Workflow, find_workflow
from worldflow.engine.workflow.ramps import workflow_for
from worldflow.presentation import run_details
from worldflow.runtime import starting
from worldflow.terminal import console
from worldflow.token_prices import load_prices
from worldflow.turns import generations
from worldflow.turns.loading import explain_failures
from worldflow.worlds import reading
from worldflow.worlds.base import World
from worldflow.worlds.records import RunRecord

Delay = Annotated[
    str | None, typer.Option(metavar="DURATION", help="How long the run waits before it begins, such as 1h30m.")
]
StartAt = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"],
        help="When the run begins, with its offset from UTC, such as 2026-12-24T18:00:00+01:00.",
    ),
]


def start(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.")],
    input: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@FILE|-", help="Arguments by name as a JSON object; @FILE reads a file, - reads stdin."
        ),
    ] = None,
    run_id: Annotated[str | None, typer.Option(help="Run id; default: a new id.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the run to end; exit with 1 unless it completes.")
    ] = False,
    if_running: Annotated[
        starting.IfRunning, typer.Option(help="What to do if a run with this id has not ended.")
    ] = "return_existing",
    reuse: Annotated[
        starting.Reuse | None,
        typer.Option(help="When to start a new run if one with this id has ended; default: never, show that run."),
    ] = None,
    delay: Delay = None,
    start_at: StartAt = None,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Text for interceptors, around all steps and children; repeatable."),
    ] = None,
    workflows: Modules = "",
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Start a run. If a run with this id exists, show it instead (default)."""
    arguments = read_json(input, "--input") if input is not None else {}
    if not isinstance(arguments, dict):
        raise typer.BadParameter("must be a JSON object of arguments by name", param_hint="--input")
    headers = _headers(header or ())
    run_id = run_id or _new_run_id(workflow)
    known = known_workflow(workflow, workflows, run_id)
    if isinstance(known, Workflow):
        # What JSON cannot say, such as a date, is what the workflow's annotations make of it.
        arguments = known.signature.parse(arguments)
    with open_world(local, stack, create=True) as world:
        begin = partial(starting.start, if_running=if_running, reuse=reuse, delay=delay, start_at=start_at)
        started, is_new = begin(world, run_id, known, arguments, headers=headers)
        record = _wait(world, started.run_id) if wait else world.read_run(started.run_id)
    if as_json:
        print_json({**record.describe(), "created": is_new})
    elif wait:
        console().print(run_details(record, load_prices() if record.usage else None))
    else:
        typer.echo(record.run_id)
        if not is_new:
            typer.echo(f"Run {record.run_id} already exists ({record.status}).", err=True)
    if wait and record.status != "completed":
        raise typer.Exit(1)


def retry(
    run_id: bulk.SomeRun = None,
    input: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@FILE|-",
            help="Arguments of the workflow to replace, as a JSON object; the run then starts from the beginning.",
        ),
    ] = None,
    where: bulk.Where = None,
    yes: bulk.Yes = False,
    rate: bulk.Rate = "20/s",
    token: bulk.Continue = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Retry a failed run, or many, from the point of failure, as the next generation of its id."""
    if run_id is None:
        bulk.act("retry", where, token, yes, rate, local, stack, as_json, alone={"--input": input})
        return
    bulk.refuse_both(where, token)
    arguments = read_json(input, "--input") if input is not None else None
    if arguments is not None and not isinstance(arguments, dict):
        raise typer.BadParameter("must be a JSON object of arguments by name", param_hint="--input")
    with open_world(local, stack) as world:
        _tell_new(world.read_run(starting.retry(world, run_id, arguments).run_id), as_json)


def fork(
    run_id: bulk.SomeRun = None,
    new_run_id: Annotated[
        str | None, typer.Argument(metavar="[NEW]", help="Id of the new run.", show_default=False)
    ] = None,
    after: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Last event to take over from the other run; default: the last one that is edited."
        ),
    ] = None,
    edit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SEQ=JSON|@FILE|-",
            help="Data to replace: of the event with this number, or of the run's `input`; repeat it for several.",
        ),
    ] = None,
    workflows: Modules = "",
    where: bulk.Where = None,
    yes: bulk.Yes = False,
    rate: bulk.Rate = "20/s",
    token: bulk.Continue = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Start a new run that continues from an event in another run's history, or one for each of many runs."""
    if run_id is None:
        alone = {"NEW": new_run_id, "--edit": edit}
        bulk.act("fork", where, token, yes, rate, local, stack, as_json, after=after, alone=alone)
        return
    bulk.refuse_both(where, token)
    if new_run_id is None:
        raise typer.BadParameter("name the new run", param_hint="NEW")
    edits = dict(_edit(text) for text in edit or ())
    if after is None and not edits:
        raise typer.BadParameter("is needed, unless an event is edited", param_hint="--after")
    if workflows:
        load(workflows)
    with open_world(local, stack) as world:
        starting.fork(world, run_id, new_run_id, after=after, edit=edits)
        _tell_new(world.read_run(new_run_id), as_json)


def _edit(text: str) -> tuple[str, Any]:
    seq, equals, data = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} does not have the form SEQ=JSON", param_hint="--edit")
    return seq, read_json(data, "--edit")


def _tell_new(record: RunRecord, as_json: bool) -> None:
    if as_json:
        print_json(record.describe())
    else:
        typer.echo(record.run_id)


def known_workflow(name: str, modules: str, run_id: str | None = None) -> Workflow[..., Any] | str:
    """The workflow, if modules are named that should have it; else its name, and its input is checked when it runs.

    run_id: of the run that is to start, whose version it is then.
    """
    if not modules:
        return name
    load(modules)
    try:
        return find_workflow(name) if run_id is None else workflow_for(name, run_id)
    except WorkflowNotFoundError as error:
        raise WorldflowError(f"{error.summary}{explain_failures()}") from None


def _headers(given: Iterable[str]) -> dict[str, str] | None:
    headers = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise typer.BadParameter(f"{one!r} is not NAME=VALUE", param_hint="--header")
        headers[name] = value
    return headers or None


def _new_run_id(workflow: str) -> str:
    """An id that says what runs since when, and that nobody else has."""
    name = re.sub(r"[^A-Za-z0-9_.:-]", "", workflow).lstrip("_.:-")[:60] or "run"
    return f"{name}-{clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def _wait(world: World, run_id: str) -> RunRecord:
    """The record of a run that has ended, or that is blocked; of the last one, where others follow it under its id."""
    quiet, seen = Quiet(world, run_id), (run_id, 0)
    for pause in pauses():
        record = generations.newest_generation(world, world.read_run(run_id))
        if record.ended or record.status == "blocked":
            break
        run, after = seen if seen[0] == record.run_id else (record.run_id, 0)
        if news := reading.stored_events(world, run, after):
            seen = run, news[-1].seq
            quiet.end()
        else:
            quiet.goes_on()
        time.sleep(pause)
    return world.read_run(record.run_id)
