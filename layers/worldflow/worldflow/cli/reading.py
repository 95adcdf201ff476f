"""The commands that show runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import typer

from worldflow.cli.common import (
    AsJson,
    Local,
    Modules,
    Quiet,
    RunId,
    Stack,
    Where,
    filters_of,
    load,
    open_world,
    pauses,
    print_json,
    read_json,
)
from worldflow.engine.errors import WorkflowNotFoundError, WorldflowError
from worldflow.engine.history import Attribute, Event, RunEnded
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.history.state import RunState
from worldflow.presentation import (
    EventLines,
    count_table,
    describe_failure,
    is_internal,
    run_details,
    run_table,
    timeline,
    tracebacks,
)
from worldflow.runtime import queries
from worldflow.runtime.limits import waiting_steps
from worldflow.terminal import console
from worldflow.token_prices import load_prices
from worldflow.turns.generations import newest_generation
from worldflow.turns.loading import not_imported
from worldflow.worlds import reading, streams
from worldflow.worlds.base import World
from worldflow.worlds.filters import Filters
from worldflow.worlds.records import STATUSES, RunRecord

Status = Literal["running", "completed", "failed", "cancelled", "continued", "blocked", "paused"]


def status(
    run_id: RunId,
    traceback: Annotated[
        bool | None,
        typer.Option(
            "--traceback/--no-traceback", help="Show the traceback of a run's error; default: only for a LocalWorld."
        ),
    ] = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Show a run: its status, input, result or error, and a timeline."""
    with open_world(local, stack) as world:
        record = world.read_run(run_id)
        if as_json:
            print_json(record.describe())
            return
        history = world.read_events(run_id)
        state = RunState(history)
        record = record.model_copy(update={"usage": state.usage.entries() or None})
        waiting = waiting_steps(world, run_id, state)
        newest = newest_generation(world, record)
        names = streams.names(world, run_id)
    out = console()
    out.print(run_details(record, load_prices() if record.usage else None))
    if newest.run_id != run_id:
        out.print(f"followed by {newest.run_id} ({newest.status})")
    if history:
        out.print()
        out.print(timeline(history))
    for step_id, waits in waiting.items():
        out.print(f"{step_id} is {waits}", soft_wrap=True)
    if names:
        out.print(f"\nstreams: {', '.join(names)}", soft_wrap=True)
    if record.error and (local is not None if traceback is None else traceback):
        for text in tracebacks(record.error, history):
            out.print()
            out.print(text, soft_wrap=True, end="")


def events(
    run_id: RunId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show new events until the run ends.")] = False,
    after: Annotated[int, typer.Option(min=0, metavar="N", help="Skip the first N events.")] = 0,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Show a run's history. With --json, print one event per line."""
    lines, out = EventLines(), console()
    with open_world(local, stack) as world:
        for event in _events(world, run_id, follow):
            # Of those that are left out too: the names of steps are in them.
            line = lines.line(event)
            if event.seq <= after:
                continue
            if as_json:
                print_json({"seq": event.seq, "at": event.at, "event_type": event.event_type, "payload": event.payload})
            elif not is_internal(event):
                out.print(line, soft_wrap=True)


def list_(
    status: Annotated[Status | None, typer.Option(help="Only runs with this status.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only runs of this workflow.")] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Only runs with this attribute; repeat it to require several."),
    ] = None,
    where: Where = None,
    count: Annotated[bool, typer.Option("--count", help="Show how many runs match, by status.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Maximum number of runs.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Continue where the previous page ended.")] = None,
    local: Local = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    attributes = _attributes(attribute or ())
    with open_world(local, stack) as world:
        filters = filters_of(where, world.now(), status=status, workflow=workflow, attributes=attributes)
        if count:
            _show_counts(world, filters, as_json)
            return
        runs: list[RunRecord] = []
        # Where matches are rare, a page may hold few of them or none.
        while len(runs) < limit:
            page = world.list_runs(limit=limit - len(runs), cursor=cursor, **filters)
            runs += page.runs
            cursor = page.cursor
            if cursor is None:
                break
    if as_json:
        print_json({"runs": [record.describe() for record in runs], "cursor": cursor})
        return
    if runs:
        console().print(run_table(runs))
    else:
        typer.echo("No runs.", err=True)
    if cursor:
        typer.echo(f"More runs: --cursor '{cursor}'", err=True)


def _show_counts(world: World, filters: Filters, as_json: bool) -> None:
    """How many runs match, by their statuses."""
    statuses = [status for status in STATUSES if filters.get("status") in (None, status)]
    counts: dict[str, int] = {status: world.count_runs(**filters | {"status": status}) for status in statuses}
    if as_json:
        print_json({"counts": counts, "total": sum(counts.values())})
    else:
        console().print(count_table(counts))


def query(
    run_id: RunId,
    name: Annotated[str, typer.Argument(help="Name under which the workflow publishes the value.")],
    args: Annotated[
        str | None,
        typer.Option(metavar="JSON|@FILE|-", help="Arguments by name as a JSON object; @FILE reads a file, - stdin."),
    ] = None,
    workflows: Modules = "workflows",
    local: Local = None,
    stack: Stack = None,
) -> None:
    """Print a value that a run's workflow publishes, as JSON. Replays the history here, with the workflow's code."""
    given = read_json(args, "--args") if args is not None else {}
    if not isinstance(given, dict):
        raise typer.BadParameter("must be a JSON object of arguments by name", param_hint="--args")
    load(workflows)
    with open_world(local, stack) as world:
        try:
            told = queries.ask(world, run_id, name, given)
        except WorkflowNotFoundError as error:
            raise WorldflowError(_without_code(error, workflows)) from None
    if told.error is not None:
        # What the workflow publishes is computed by the user's code, here and now.
        raise WorldflowError(describe_failure(encode_exception(told.error), limit=2_000)) from told.error
    print_json(told.value)


def _without_code(error: WorkflowNotFoundError, modules: str) -> str:
    """Why a workflow's code is not here, and what to do."""
    missing = error.summary.partition(";")[0]
    advice = "Name the module that defines it with --workflows MODULE or WORLDFLOW_WORKFLOWS"
    return (
        f"{missing} in {modules}, and a query needs its code{not_imported()}. {advice}; "
        f"modules are looked for in PYTHONPATH"
    )


def _events(world: World, run_id: str, follow: bool) -> Iterator[Event]:
    """The events of a run; if they are followed, those to come too, until it has ended."""
    after, waiting, quiet = 0, pauses(), Quiet(world, run_id)
    history = reading.history_of(world, run_id)
    while True:
        news = [history.read(event) for event in reading.stored_events(world, run_id, after)]
        yield from news
        if not follow or any(isinstance(event, RunEnded) for event in news):
            return
        if news:
            after, waiting = news[-1].seq, pauses()
            quiet.end()
        else:
            quiet.goes_on()
        time.sleep(next(waiting))


def _attributes(pairs: Iterable[str]) -> dict[str, Attribute]:
    """Attributes from `name=value`, where a value is a number, true or false, or text: in quotes it is always text."""
    attributes: dict[str, Attribute] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{pair!r} does not have the form NAME=VALUE", param_hint="--attribute")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        attributes[name] = value if isinstance(value, Attribute) else text
    return attributes
