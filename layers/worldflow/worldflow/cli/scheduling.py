"""The commands about schedules: `python -m worldflow schedule ...`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, cast

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
from worldflow.engine.durations import spoken
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import extra_runs, schedules
from worldflow.runtime.schedule_fields import Remaining
from worldflow.terminal import application, console
from worldflow.worlds.schedule_records import Overlap, ScheduleRecord

schedule = application("schedule", "Create, list, change, pause and delete schedules that start a workflow repeatedly.")

ScheduleId = Annotated[str, typer.Argument(metavar="SCHEDULE", help="The schedule's id.")]
OVERLAP = typer.Option(help="What to do if the previous run has not ended.")
JITTER = typer.Option(metavar="DURATION", help="Let each run begin up to this long after it is due.")
CATCH_UP = typer.Option(metavar="DURATION", help="Start no run that is this late, or later.")


@schedule.command()
def create(
    schedule_id: ScheduleId,
    workflow: Annotated[str, typer.Argument(help="The workflow's name.")],
    when: Annotated[str, typer.Argument(help="Such as cron(0 8 ? * MON-FRI *) or rate(5 minutes).")],
    input: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@FILE|-", help="Arguments by name as a JSON object; @FILE reads a file, - reads stdin."
        ),
    ] = None,
    timezone: Annotated[str, typer.Option(help="Time zone of a cron expression.")] = "UTC",
    overlap: Annotated[Overlap, OVERLAP] = "skip",
    jitter: Annotated[str | None, JITTER] = None,
    catch_up: Annotated[str | None, CATCH_UP] = None,
    remaining: Annotated[int | None, typer.Option(help="Finish after this many runs.")] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Create it paused; start it with `resume`.")] = False,
    workflows: Modules = "",
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Create a schedule. Does nothing if an identical one exists."""
    arguments = read_json(input, "--input") if input is not None else {}
    if not isinstance(arguments, dict):
        raise typer.BadParameter("must be a JSON object of arguments by name", param_hint="--input")
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
            jitter=jitter,
            catch_up=catch_up,
            remaining=remaining,
            paused=paused,
        )
    if as_json:
        print_json({**record.describe(clock.now()), "created": is_new})
        return
    typer.echo(_when(record))
    if not is_new:
        typer.echo(f"Schedule {record.schedule_id} already exists.", err=True)


@schedule.command()
def update(
    schedule_id: ScheduleId,
    when: Annotated[
        str | None, typer.Option("--schedule", help="Such as cron(0 8 ? * MON-FRI *) or rate(5 minutes).")
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="Time zone of a cron expression.")] = None,
    overlap: Annotated[Overlap | None, OVERLAP] = None,
    jitter: Annotated[str | None, JITTER] = None,
    catch_up: Annotated[str | None, CATCH_UP] = None,
    remaining: Annotated[
        str | None, typer.Option(metavar="NUMBER|unlimited", help="Finish after this many more runs.")
    ] = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Change a schedule: the given options, and nothing else. 0s removes a jitter or a catch-up window."""
    if remaining not in (None, "unlimited") and not (remaining.isascii() and remaining.isdecimal()):
        raise typer.BadParameter("must be a number, or unlimited", param_hint="--remaining")
    runs = cast("Remaining | None", int(remaining) if remaining and remaining.isdecimal() else remaining)
    with open_world(local, stack) as world:
        record = schedules.update(
            world,
            schedule_id,
            schedule=when,
            timezone=timezone,
            overlap=overlap,
            jitter=jitter,
            catch_up=catch_up,
            remaining=runs,
        )
    _tell(record, as_json)


@schedule.command()
def show(schedule_id: ScheduleId, local: Local = None, stack: Stack = None, as_json: AsJson = False) -> None:
    """Show a schedule: its definition, when it is due, and what became of the times before."""
    with open_world(local, stack) as world:
        record = schedules.read(world, schedule_id)
    described = record.describe(clock.now())
    if as_json:
        print_json(described)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    lengths = {name: spoken(described[name]) for name in ("jitter", "catch_up") if name in described}
    for name, value in (described | lengths).items():
        table.add_row(name.replace("_", " "), value if isinstance(value, str) else json.dumps(value))
    console().print(table)


@schedule.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Maximum number of schedules.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Continue where the previous page ended.")] = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """List schedules, sorted by id."""
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
        typer.echo(f"More schedules: --cursor '{page.cursor}'", err=True)


@schedule.command()
def pause(schedule_id: ScheduleId, local: Local = None, stack: Stack = None, as_json: AsJson = False) -> None:
    """Pause a schedule: it starts no runs until it is resumed."""
    _set_paused(schedule_id, True, local, stack, as_json)


@schedule.command()
def resume(schedule_id: ScheduleId, local: Local = None, stack: Stack = None, as_json: AsJson = False) -> None:
    """Resume a paused schedule."""
    _set_paused(schedule_id, False, local, stack, as_json)


@schedule.command()
def trigger(
    schedule_id: ScheduleId,
    trigger_id: Annotated[
        str | None,
        typer.Option("--id", help="Part of the run's id; the same id starts no second run. Default: a new id."),
    ] = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Start a run of a schedule now, also of a paused one. Prints the run's id."""
    with open_world(local, stack) as world:
        run_id, is_new = extra_runs.trigger(world, schedule_id, trigger_id)
    if as_json:
        print_json({"schedule_id": schedule_id, "run_id": run_id, "created": is_new})
        return
    typer.echo(run_id)
    if not is_new:
        typer.echo(f"Run {run_id} already exists.", err=True)


_FORMATS = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"]


@schedule.command()
def backfill(
    schedule_id: ScheduleId,
    start: Annotated[
        datetime,
        typer.Argument(formats=_FORMATS, help="The first moment, with its offset, such as 2026-11-01T00:00:00+01:00."),
    ],
    end: Annotated[datetime, typer.Argument(formats=_FORMATS, help="Where it ends: a moment then is left out.")],
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Start the runs of a schedule's past moments, up to 100. Prints the ids of those that are new."""
    with open_world(local, stack) as world:
        found = extra_runs.backfill(world, schedule_id, start, end)
    if as_json:
        runs = [{"run_id": run_id, "created": is_new} for run_id, is_new in found]
        print_json({"schedule_id": schedule_id, "runs": runs})
        return
    new = [run_id for run_id, is_new in found if is_new]
    for run_id in new:
        typer.echo(run_id)
    typer.echo(f"{len(found)} moments: {len(new)} runs started, {len(found) - len(new)} already existed.", err=True)


@schedule.command()
def delete(schedule_id: ScheduleId, local: Local = None, stack: Stack = None, as_json: AsJson = False) -> None:
    """Delete a schedule. Runs that it started continue."""
    with open_world(local, stack) as world:
        schedules.delete(world, schedule_id)
    if as_json:
        print_json({"schedule_id": schedule_id})
    else:
        typer.echo(f"Deleted {schedule_id}.")


def _set_paused(schedule_id: str, paused: bool, local: Local, stack: Stack, as_json: bool) -> None:
    with open_world(local, stack) as world:
        record = schedules.update(world, schedule_id, paused=paused)
    _tell(record, as_json)


def _tell(record: ScheduleRecord, as_json: bool) -> None:
    if as_json:
        print_json(record.describe(clock.now()))
    else:
        typer.echo(_when(record))


def _when(record: ScheduleRecord) -> str:
    """When a schedule is due next, in a line."""
    due = _due(record)
    return f"{record.schedule_id} is {due if not record.is_active else 'due at ' + due}."


def _due(record: ScheduleRecord) -> str:
    if record.finished:
        return "finished"
    return "paused" if record.paused else _moment(record.next_due(clock.now()))


def _table(records: Iterable[ScheduleRecord]) -> Table:
    """Many schedules, a line each."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("schedule", "workflow", "when", "due", "last run"):
        table.add_column(column, overflow="fold")
    for record in records:
        zone = f" {record.timezone}" if record.timezone != "UTC" else ""
        when = f"{record.schedule}{zone}"
        table.add_row(record.schedule_id, record.workflow, when, _due(record), record.last_run_id or "")
    return table


def _moment(moment: datetime | None) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S %Z}" if moment else "no time"
