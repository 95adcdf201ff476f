"""`python -m worldflow`: starts runs, shows them, asks things of them.

The runs are those that the `WORLDFLOW_*` environment variables lead to (on AWS or, with `AWS_ENDPOINT_URL`, on a local
AWS), or those of a LocalWorld file. What a command was asked for goes to stdout, all else to stderr. The exit code is 1
for what could not be done, and 2 for a wrong command line.
"""

from typing import Annotated

import typer

from worldflow import __version__
from worldflow.cli import (
    asking,
    assistants,
    backing,
    checking,
    consoles,
    costing,
    http,
    limiting,
    pausing,
    projects,
    reading,
    redriving,
    restoring,
    scheduling,
    serving,
    starting,
    streaming,
    tracing,
)
from worldflow.terminal import application


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"worldflow {__version__}")
        raise typer.Exit()


app = application("worldflow", "Start, inspect and control runs, on AWS or in a LocalWorld file.", completion=True)

_COMMANDS = {
    "Start runs": (starting.start, starting.retry, starting.fork),
    "See runs": (
        reading.status,
        reading.events,
        reading.list_,
        reading.query,
        streaming.stream,
        costing.cost,
        tracing.trace,
    ),
    "Act on runs": (
        asking.signal,
        asking.update,
        asking.hook,
        asking.cancel,
        asking.terminate,
        asking.wake,
        asking.pause,
        asking.unpause,
        asking.resume,
    ),
    "Operate": (consoles.ui, http.serve, redriving.redrive, restoring.reconcile, backing.backup),
    "Projects": (projects.new, projects.upgrade, projects.rename),
    "Develop": (serving.worker, checking.check, assistants.mcp),
}
"""The commands by the headings of the help."""

for _heading, _commands in _COMMANDS.items():
    for _command in _commands:
        app.command(_command.__name__.removesuffix("_"), rich_help_panel=_heading)(_command)
app.add_typer(scheduling.schedule, rich_help_panel="Start runs")
app.add_typer(limiting.limits, rich_help_panel="Operate")
app.add_typer(pausing.workflows, rich_help_panel="Operate")


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Show the version and exit.", callback=_show_version)
    ] = False,
) -> None:
    pass


__all__ = ["app"]
