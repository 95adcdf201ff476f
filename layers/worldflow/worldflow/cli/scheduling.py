"""The commands about schedules: `python -m worldflow schedule ...`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from worldflow import clock
from worldflow.cli.common import (
    AsJson,
    Local,
    Modules,
    Stack,
    open_world,
    print_json,
    read_json,
)
from worldflow.cli.starting import known_workflow
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import schedules
from worldflow.terminal import application, console
from worldflow.worlds.schedules import Overlap, ScheduleRecord

schedule = application("schedule", "Start a workflow again and again: create schedules, list, pause and delete them.")

ScheduleId = Annotated[str, typer.Argument(metavar="SCHEDULE", help="The schedule's id.")]


@schedule.command()
def create(
    schedule_id: ScheduleId,
    workflow: Annotated[str, typer.Argument(help="The workflow's name.")],
    when: Annotated[str, typer.Argument(help="cron(0 8 ? * MON-FRI *) or rate(5 minutes).")],
    input: Annotated[
        str | None,
        typer.Option(metavar="JSON|@FILE|-", help="Its arguments by name: a JSON object, a file of it, or stdin."),
    ] = None,
    timezone: Annotated[str, typer.Option(help="Whose clocks a cron expression is about.")] = "UTC",
    overlap: Annotated[Overlap, typer.Option(help="What to do while the run before has not ended.")] = "skip",
    paused: Annotated[bool, typer.Option("--paused", help="Create it paused; `resume` starts it.")] = False,
    workflows: Modules = "",
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Create a schedule. If an identical one exists, nothing happens."""
    arguments = read_json(input, "--input") if input is not None else {}
    if not isinstance(arguments, dict):
        raise typer.BadParameter("must be a JSON object of the arguments by name", param_hint="--input")
    known = known_workflow(workflow, workflows)
    if isinstance(known, Workflow):
        # What JSON cannot say, such as a date, is what the workflow's annotations make of it.
        arguments = known.signature.parse(arguments)
    with open_world(local, stack, create=True) as world:
        record, is_new = schedules.create(
            world,
            schedule_id,
            known,
            arguments,
            schedule=when,
            timezone=timezone,
            overlap=overlap,
            paused=paused,
        )
    if as_json:
        print_json({**record.describe(clock.now()), "created": is_new})
        return
    typer.echo(_when(record))
    if not is_new:
        typer.echo("It exists already.", err=True)


@schedule.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="The most schedules to show.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Continue where the list before ended.")] = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """List schedules by their ids."""
    with open_world(local, stack) as world:
        page = schedules.list_page(world, limit, cursor)
    if as_json:
        now = clock.now()
        print_json({"schedules": [record.describe(now) for record in page.schedules], "cursor": page.cursor})
        return
    if page.schedules:
        console().print(_table(page.schedules))
    else:
        typer.echo("No schedules.", err=True)
    if page.cursor:
        typer.echo(f"There are more: --cursor '{page.cursor}'", err=True)


@schedule.command()
def pause(schedule_id: ScheduleId, local: Local = None, stack: Stack = None, as_json: AsJson = False) -> None:
    """Pause a schedule: it starts nothing until it is resumed."""
    _set_paused(schedule_id, True, local, stack, as_json)


@schedule.command()
def resume(schedule_id: ScheduleId, local: Local = None, stack: Stack = None, as_json: AsJson = False) -> None:
    """Resume a paused schedule."""
    _set_paused(schedule_id, False, local, stack, as_json)


@schedule.command()
def delete(schedule_id: ScheduleId, local: Local = None, stack: Stack = None, as_json: AsJson = False) -> None:
    """Delete a schedule. Runs that it started continue."""
    with open_world(local, stack) as world:
        schedules.delete(world, schedule_id)
    if as_json:
        print_json({"schedule_id": schedule_id})
    else:
        typer.echo(f"{schedule_id} is deleted.")


def _set_paused(schedule_id: str, paused: bool, local: Local, stack: Stack, as_json: bool) -> None:
    with open_world(local, stack) as world:
        record = schedules.update(world, schedule_id, paused=paused)
    if as_json:
        print_json(record.describe(clock.now()))
    else:
        typer.echo(_when(record))


def _when(record: ScheduleRecord) -> str:
    """When a schedule is due next, in a line."""
    due = record.next_due(clock.now())
    return f"{record.schedule_id} is {'paused' if record.paused else 'due at ' + _moment(due)}."


def _table(records: Iterable[ScheduleRecord]) -> Table:
    """Many schedules, a line each."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("schedule", "workflow", "when", "due", "last run"):
        table.add_column(column, overflow="fold")
    for record in records:
        zone = f" {record.timezone}" if record.timezone != "UTC" else ""
        due = "paused" if record.paused else _moment(record.next_due(clock.now()))
        table.add_row(record.schedule_id, record.workflow, f"{record.schedule}{zone}", due, record.last_run_id or "")
    return table


def _moment(moment: datetime | None) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S %Z}" if moment else "no time"
