"""The command that serves a LocalWorld file."""

from __future__ import annotations

import asyncio
import logging
import signal as signals
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from worldflow.cli.common import (
    ON_THE_PATH,
    AsJson,
    Local,
    Modules,
    Stack,
    is_typed,
    load,
    open_world,
    print_json,
    where_modules_are_named,
)
from worldflow.cli.reloading import folders_of, run_and_reload
from worldflow.engine.errors import ConfigurationError, WorldflowError
from worldflow.engine.privacy import described, loggable
from worldflow.engine.workflow.registry import import_failures
from worldflow.logs import RunIds
from worldflow.serving.worker import Worker
from worldflow.terminal import is_explained
from worldflow.turns.observer import Observer
from worldflow.turns.steps import log_what_is_left
from worldflow.worlds.local.world import LocalWorld

_log = logging.getLogger("worldflow")

_ENDING = (signals.SIGINT, signals.SIGTERM)


def worker(
    context: typer.Context,
    workflows: Modules = "workflows",
    local: Local = None,
    stack: Stack = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Maximum number of concurrent steps.")] = 10,
    queues: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME", help="Only run steps of these step queues, such as heavy,default. Default: all."
        ),
    ] = None,
    otlp: Annotated[
        str | None,
        typer.Option("--otlp", metavar="URL", help="Send spans to this OpenTelemetry collector (OTLP over HTTP)."),
    ] = None,
    standby: Annotated[
        bool, typer.Option("--standby", help="If another worker serves the file, wait until it ends and take over.")
    ] = False,
    reload: Annotated[
        bool, typer.Option("--reload", help="For development: restart the worker when a workflow file changes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve a LocalWorld file until Ctrl-C: take turns of its runs and run their steps. One worker per file."""
    if local is None:
        whose = f"stack {stack!r}" if stack else "a stack"
        advice = "a worker only serves a LocalWorld file: name one with --local FILE"
        raise ConfigurationError(f"the functions of {whose} serve its runs; {advice}")
    if reload:
        command = ["worker", "--local", str(local), "--concurrency", str(concurrency)]
        folders = folders_of(name.strip() for name in workflows.split(","))
        command += ["--workflows", workflows] if is_typed(context, "workflows") else []
        command += ["--queues", queues] if queues else []
        command += ["--otlp", otlp] if otlp else []
        command += ["--standby"] if standby else []
        raise typer.Exit(run_and_reload([*command, *(["--json"] if as_json else [])], folders))
    prepare(context, workflows)
    with tracing(otlp) as observer, open_world(local, create=True) as world:
        assert isinstance(world, LocalWorld)
        names = None if queues is None else [name.strip() for name in queues.split(",")]
        served = Worker(world, concurrency=concurrency, queues=names, standby=standby, observer=observer)
        if not standby:
            with world.serving():
                pass  # or there is a worker already, which is better said before that this one serves
        if as_json:
            print_json({"local": str(local), "workflows": workflows})
        else:
            typer.echo(f"Serving {local}. Stop with Ctrl-C; unfinished runs continue when a worker is started again.")
        asyncio.run(_serve(served))


def prepare(context: typer.Context, workflows: str) -> None:
    """Imports the workflows of a process that serves runs, and sets up its log."""
    load(workflows)
    _check_imports(workflows, "--workflows" if is_typed(context, "workflows") else where_modules_are_named())
    for name, why in import_failures.items():
        typer.echo(f"Warning: cannot import {name}: {why}", err=True)
    handler = logging.StreamHandler()
    handler.addFilter(RunIds())
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(run)s%(message)s", handlers=[handler]
    )


def _check_imports(workflows: str, origin: str) -> None:
    """Raises `WorldflowError` where no module can be imported."""
    names = [name.strip() for name in workflows.split(",") if name.strip()]
    if names and all(name in import_failures for name in names):
        reasons = "; ".join(f"{name}: {import_failures[name]}" for name in names)
        advice = f"; {ON_THE_PATH}" if "ModuleNotFoundError" in reasons else ""
        raise WorldflowError(
            f"none of the modules in {origin} can be imported ({reasons}), so no run could continue{advice}"
        )


@contextmanager
def tracing(otlp: str | None) -> Iterator[Observer | None]:
    """What sends spans to a collector, those that are left when the worker has ended too."""
    if otlp is None:
        yield None
        return
    from worldflow.tracing.sending import Flush, provider_to, requirements

    with requirements():
        from opentelemetry import trace

        from worldflow.tracing.live import TracingObserver

        provider = provider_to(otlp, "worldflow")
    trace.set_tracer_provider(provider)  # so that what libraries trace is sent too
    try:
        yield TracingObserver()
    finally:
        Flush(provider)()


async def _serve(worker: Worker) -> None:
    """Serves until the process is told to end, and has recorded what its steps return. Told twice, it ends at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    loop.set_exception_handler(log_what_is_left)
    assert task is not None
    is_told = False

    def end() -> None:
        nonlocal is_told
        is_told = True
        for number in _ENDING:
            loop.remove_signal_handler(number)
            signals.signal(number, signals.SIG_DFL)
        task.cancel()

    for number in _ENDING:
        loop.add_signal_handler(number, end)
    try:
        with failing_in_a_line():
            await worker.serve()
    except asyncio.CancelledError:
        if not is_told:
            raise WorldflowError("the worker was cancelled by code running in it") from None


@contextmanager
def failing_in_a_line() -> Iterator[None]:
    """Logs an error after which a worker cannot continue, and raises one that says it in a line."""
    try:
        yield
    except Exception as error:
        if not is_explained(error) and not isinstance(error, sqlite3.Error):
            _log.error("the worker cannot continue", exc_info=loggable(error))
            raise WorldflowError(f"the worker cannot continue: {described(error)}") from None
        raise
