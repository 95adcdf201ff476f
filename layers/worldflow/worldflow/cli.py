"""`python -m worldflow`: starts runs, shows them, signals and cancels them.

The runs are those that the `WORLDFLOW_*` environment variables lead to (on AWS or, with `AWS_ENDPOINT_URL`, on a local
AWS), or those of a LocalWorld file. What a command was asked for goes to stdout, all else to stderr. The exit code is 1
for what could not be done, and 2 for a wrong command line.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import signal as signals
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic_core import to_json

from worldflow.engine.definitions import Workflow, find_workflow
from worldflow.engine.errors import ConfigurationError, WorkflowNotFoundError, WorldflowError
from worldflow.engine.history import Event, Json, RunEnded
from worldflow.presentation import EventLines, run_details, run_table, timeline
from worldflow.runtime import load_workflows, requests
from worldflow.runtime.loading import explain_failures, import_failures
from worldflow.terminal import application, console
from worldflow.worker import Worker
from worldflow.worlds.base import RunRecord, World
from worldflow.worlds.local import LocalWorld

FIRST_POLL = 0.1
LONGEST_POLL = 2.0
"""Seconds between two looks at a run, which grow while nothing happens."""

_ENDING = (signals.SIGINT, signals.SIGTERM)

app = application("worldflow", "Start runs, show them, signal and cancel them: on AWS, or in a LocalWorld file.")

Local = Annotated[
    Path | None,
    typer.Option(
        "--local", envvar="WORLDFLOW_LOCAL", metavar="FILE", help="A LocalWorld file, in place of AWS.", dir_okay=False
    ),
]
Modules = Annotated[
    str,
    typer.Option(
        "--workflows",
        "-w",
        envvar="WORLDFLOW_WORKFLOWS",
        metavar="MODULE,...",
        help="Modules that define workflows and steps. A package brings all its submodules.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
Status = Literal["running", "completed", "failed", "cancelled", "continued", "blocked"]


@app.command()
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
    arguments = _read_json(input, "--input") if input is not None else {}
    if not isinstance(arguments, dict):
        raise typer.BadParameter("must be a JSON object of the arguments by name", param_hint="--input")
    known = _known_workflow(workflow, workflows)
    if isinstance(known, Workflow):
        # What JSON cannot say, such as a date, is what the workflow's annotations make of it.
        arguments = known.signature.decode(arguments)
    run_id = run_id or _new_run_id(workflow)
    with _world(local, create=True) as world:
        _, is_new = requests.start(world, run_id, known, arguments)
        record = _wait(world, run_id) if wait else world.read_run(run_id)
    if as_json:
        _print_json({**record.describe(), "created": is_new})
    elif wait:
        console().print(run_details(record))
    else:
        typer.echo(record.run_id)
        if not is_new:
            typer.echo(f"It exists already, and is {record.status}.", err=True)
    if wait and record.status != "completed":
        raise typer.Exit(1)


@app.command()
def status(run_id: RunId, local: Local = None, as_json: AsJson = False) -> None:
    """Show a run: its status, its input, its result or error, and what it did when."""
    with _world(local) as world:
        record = world.read_run(run_id)
        if as_json:
            _print_json(record.describe())
            return
        history = world.read_events(run_id)
    out = console()
    out.print(run_details(record))
    if history:
        out.print()
        out.print(timeline(history))


@app.command()
def events(
    run_id: RunId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show what happens, until the run ends.")] = False,
    after: Annotated[int, typer.Option(min=0, metavar="N", help="Leave out the first N events.")] = 0,
    local: Local = None,
    as_json: AsJson = False,
) -> None:
    """Show a run's history. With --json each event is a line."""
    lines, out = EventLines(), console()
    with _world(local) as world:
        for event in _events(world, run_id, follow):
            # Of those that are left out too: the names of steps are in them.
            line = lines.line(event)
            if event.seq <= after:
                continue
            if as_json:
                _print_json(
                    {"seq": event.seq, "at": event.at, "event_type": event.event_type, "payload": event.payload}
                )
            else:
                out.print(line, soft_wrap=True)


@app.command()
def signal(
    run_id: RunId,
    name: Annotated[str, typer.Argument(help="The signal's name.")],
    value: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE|-", help="Its value: JSON, a file of it, or stdin.")
    ] = None,
    local: Local = None,
    as_json: AsJson = False,
) -> None:
    """Send a signal to a run."""
    sent = _read_json(value, "--value") if value is not None else None
    with _world(local) as world:
        signal_id = requests.signal(world, run_id, name, sent)
    if as_json:
        _print_json({"run_id": run_id, "signal_id": signal_id})
    else:
        typer.echo(f"Signal {name} is on its way to {run_id}.")


@app.command()
def cancel(
    run_id: RunId,
    reason: Annotated[str | None, typer.Option(help="Why; kept in the history.")] = None,
    local: Local = None,
    as_json: AsJson = False,
) -> None:
    """Ask a run to end. Its workflow sees asyncio.CancelledError where it waits."""
    with _world(local) as world:
        requests.cancel(world, run_id, reason)
    if as_json:
        _print_json({"run_id": run_id})
    else:
        typer.echo(f"{run_id} is asked to end.")


@app.command("list")
def list_(
    status: Annotated[Status | None, typer.Option(help="Only runs of this status.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only runs of this workflow.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="The most runs to show.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on where a list before ended.")] = None,
    local: Local = None,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    with _world(local) as world:
        page = world.list_runs(status=status, workflow=workflow, limit=limit, cursor=cursor)
    if as_json:
        _print_json({"runs": [record.describe() for record in page.runs], "cursor": page.cursor})
        return
    if page.runs:
        console().print(run_table(page.runs))
    else:
        typer.echo("No runs.", err=True)
    if page.cursor:
        typer.echo(f"There are more: --cursor '{page.cursor}'", err=True)


@app.command()
def worker(
    workflows: Modules = "workflows",
    local: Local = None,
    concurrency: Annotated[int, typer.Option(min=1, help="The most steps that run at a time.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Serve a LocalWorld file until Ctrl-C: take its runs' turns and run their steps. One worker to a file."""
    if local is None:
        raise typer.BadParameter("names no file: on AWS, functions serve the runs", param_hint="--local")
    _load(workflows)
    for name, why in import_failures.items():
        typer.echo(f"Warning: {name} does not import: {why}", err=True)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    with closing(LocalWorld(local)) as world:
        with world.serving():
            pass  # or there is a worker already, which is better said before that this one serves
        if as_json:
            _print_json({"local": str(local), "workflows": workflows})
        else:
            typer.echo(f"Serving {local}. Ctrl-C ends it; what is unfinished goes on when a worker comes back.")
        asyncio.run(_serve(world, concurrency))


@contextmanager
def _world(local: Path | None, *, create: bool = False) -> Iterator[World]:
    """The world that the command is about."""
    if local is None:
        from worldflow.worlds.aws import AWSWorld

        yield AWSWorld()
        return
    if not create and not local.exists():
        raise ConfigurationError(f"there is no file {local}")
    with closing(LocalWorld(local)) as world:
        yield world


def _known_workflow(name: str, modules: str) -> Workflow[..., Any] | str:
    """The workflow, if modules are named that should have it; else its name, and its input is checked when it runs."""
    if not modules:
        return name
    _load(modules)
    try:
        return find_workflow(name)
    except WorkflowNotFoundError as error:
        raise WorldflowError(f"{error.summary}{explain_failures()}") from None


def _load(modules: str) -> None:
    # What does not import is told in a line, and not by the log with a traceback.
    logging.getLogger("worldflow").addHandler(logging.NullHandler())
    load_workflows(name.strip() for name in modules.split(",") if name.strip())


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


def _events(world: World, run_id: str, follow: bool) -> Iterator[Event]:
    """The events of a run; if they are followed, those to come too, until it has ended."""
    after, pause = 0, FIRST_POLL
    while True:
        news = world.read_events(run_id, after)
        yield from news
        if not follow or any(isinstance(event, RunEnded) for event in news):
            return
        if news:
            after, pause = news[-1].seq, FIRST_POLL
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_POLL)


async def _serve(world: LocalWorld, concurrency: int) -> None:
    """Serves until the process is told to end. Told twice, it does not wait for steps that run in threads."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def end() -> None:
        for number in _ENDING:
            loop.remove_signal_handler(number)
        task.cancel()

    for number in _ENDING:
        loop.add_signal_handler(number, end)
    with suppress(asyncio.CancelledError):
        await Worker(world, concurrency=concurrency).serve()


def _read_json(text: str, option: str) -> Json:
    """The value of an option that takes JSON, `@` and the name of a file of it, or `-` for stdin."""
    try:
        if text == "-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise typer.BadParameter(f"{error.filename}: {error.strerror}", param_hint=option) from None
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint=option) from None


def _print_json(document: object) -> None:
    typer.echo(to_json(document, inf_nan_mode="constants"))
