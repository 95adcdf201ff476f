"""What the commands share: options, the world they are about, JSON in and out."""

from __future__ import annotations

import json
import logging
import os
import shlex
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic_core import to_json

from worldflow.engine.errors import ConfigurationError, InvalidInputError, RunNotFoundError, WorldflowError
from worldflow.engine.history import Json
from worldflow.runtime import load_workflows
from worldflow.runtime.where import read_where
from worldflow.settings import Settings
from worldflow.worlds.base import World
from worldflow.worlds.codec import load_codec
from worldflow.worlds.filters import Filters
from worldflow.worlds.local.world import LocalWorld

if TYPE_CHECKING:
    from worldflow.worlds.aws.world import AWSWorld

_FIRST_POLL = 0.1
_LONGEST_POLL = 2.0

LOCAL_PATIENCE = 1.0
"""Seconds without news after which it is asked whether a worker serves a file."""
AWS_PATIENCE = 30.0
"""Seconds without news after which that is said."""


def _one_of_two(context: typer.Context, option: typer.CallbackParam, value: Any) -> Any:
    """The value of `--local` or `--stack`, unless the other one is given: the command line wins over the environment.

    Whichever comes second sees the first.
    """
    other = "stack" if option.name == "local" else "local"
    if value is None or context.params.get(other) is None:
        return value
    is_this_typed, is_other_typed = (is_typed(context, str(name)) for name in (option.name, other))
    if is_this_typed == is_other_typed:
        where = "" if is_this_typed else " in the environment (WORLDFLOW_LOCAL, WORLDFLOW_STACK)"
        raise typer.BadParameter(f"both a LocalWorld file and a stack are set{where}: choose one", ctx=context)
    if is_this_typed:
        context.params[other] = None
    return value if is_this_typed else None


def is_typed(context: typer.Context, name: str) -> bool:
    """Whether an option is on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


Local = Annotated[
    Path | None,
    typer.Option(
        "--local",
        envvar="WORLDFLOW_LOCAL",
        metavar="FILE",
        help="Use a LocalWorld file instead of AWS.",
        dir_okay=False,
        callback=_one_of_two,
    ),
]
Stack = Annotated[
    str | None,
    typer.Option(
        "--stack",
        envvar="WORLDFLOW_STACK",
        metavar="NAME",
        help="Use a deployed stack, whose outputs replace the WORLDFLOW_* variables.",
        callback=_one_of_two,
    ),
]
Modules = Annotated[
    str,
    typer.Option(
        "--workflows",
        "-w",
        envvar="WORLDFLOW_WORKFLOWS",
        metavar="MODULE,...",
        help="Modules that define workflows and steps. A package includes all its submodules.",
    ),
]
ON_THE_PATH = "the folder of a module must be on PYTHONPATH, such as PYTHONPATH=layers/workflows"
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Value = Annotated[
    str | None,
    typer.Option("--value", metavar="JSON|@FILE|-", help="Value as JSON; @FILE reads a file, - reads stdin."),
]
Reason = Annotated[str | None, typer.Option(help="Reason, recorded in the history.")]
Where = Annotated[
    str | None,
    typer.Option(metavar="CONDITIONS", help="Only runs that match, such as 'status=failed workflow=order started>1d'."),
]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]


@contextmanager
def open_world(
    local: Path | None, stack: str | None = None, *, create: bool = False, webhook_url: str | None = None
) -> Iterator[World]:
    """The world that the command is about: of a file, of a stack, or of the environment.

    webhook_url: that of a file, where WORLDFLOW_WEBHOOK_URL is not set.
    """
    if local is None:
        on_aws = _aws_world(stack)
        with _saying_where(f"stack {stack}" if stack else f"table {on_aws.settings.runs_table}"):
            yield on_aws
        return
    if not create and not local.exists():
        raise ConfigurationError(f"there is no file {local}")
    codec = load_codec(os.environ.get("WORLDFLOW_PAYLOAD_CODEC"))
    webhook_url = os.environ.get("WORLDFLOW_WEBHOOK_URL") or webhook_url
    try:
        with closing(LocalWorld(local, webhook_url=webhook_url, codec=codec)) as world, _saying_where(str(local)):
            yield world
    except sqlite3.Error as error:
        raise WorldflowError(f"the LocalWorld file {local} cannot be used: {error}") from None


@contextmanager
def _saying_where(place: str) -> Iterator[None]:
    """Adds to the error of a missing run where it was looked for: variables that are left set lead elsewhere."""
    try:
        yield
    except RunNotFoundError as error:
        raise WorldflowError(f"{error} in {place}") from None


def _aws_world(stack: str | None) -> AWSWorld:
    try:
        from worldflow.stacks import read_environment
        from worldflow.worlds.aws.world import AWSWorld
    except ModuleNotFoundError as error:
        if error.name not in ("boto3", "botocore"):
            raise
        problem = 'AWS needs boto3: pip install "worldflow[aws]". A LocalWorld needs none: name its file with --local'
        raise ConfigurationError(problem) from None
    if stack is not None:
        return AWSWorld(Settings.from_environment({**os.environ, **read_environment(stack)}))
    try:
        settings = Settings.from_environment()
    except ConfigurationError as error:
        if os.environ.get("WORLDFLOW_EVENTS_TABLE") or os.environ.get("WORLDFLOW_RUNS_TABLE"):
            raise  # which names those that are missing
        advice = "name a deployed stack with --stack NAME, or a LocalWorld file with --local FILE"
        raise ConfigurationError(f"{advice} ({error})") from None
    return AWSWorld(settings)


def pauses() -> Iterator[float]:
    """Seconds between two looks at a run, which grow while nothing happens."""
    pause = _FIRST_POLL
    while True:
        yield pause
        pause = min(pause * 1.5, _LONGEST_POLL)


class Quiet:
    """Says on stderr where to look when nothing happens to a run that is waited for."""

    def __init__(self, world: World, run_id: str) -> None:
        self._world, self._run_id = world, run_id
        self.end()

    def end(self) -> None:
        """Something has happened."""
        self._since, self._is_said = time.monotonic(), False

    def goes_on(self) -> None:
        """Nothing has happened. Speaks once, when that has been so for a while."""
        if not self._is_said and (hint := self._hint(time.monotonic() - self._since)):
            typer.echo(hint, err=True)
            self._is_said = True

    def _hint(self, length: float) -> str | None:
        if isinstance(self._world, LocalWorld):
            if length < LOCAL_PATIENCE or self._world.is_served():
                return None
            file = shlex.quote(self._world.path)
            return f"No worker serves {file}: start one with `python -m worldflow worker --local {file}`."
        if length < AWS_PATIENCE:
            return None
        look = f"`status {self._run_id}` shows what the run is waiting for"
        if self._world.read_run(self._run_id).status == "pending":
            look = "the run has not started: check the log of the orchestrator function, and the run queue"
        return f"No new event for {AWS_PATIENCE:.0f} s; {look}."


def where_modules_are_named() -> str:
    """What names the modules where the command line does not."""
    return "WORLDFLOW_WORKFLOWS" if os.environ.get("WORLDFLOW_WORKFLOWS") else "the default of WORLDFLOW_WORKFLOWS"


def load(modules: str) -> None:
    # A module that does not import is reported in one line, and not with a traceback in the log.
    logging.getLogger("worldflow").addHandler(logging.NullHandler())
    load_workflows(name.strip() for name in modules.split(",") if name.strip())


def filters_of(where: str | None, now: datetime, **options: Any) -> Filters:
    """The filters of `--where` and of the options beside it, which must not say the same twice."""
    try:
        filters = read_where(where or "", now)
    except InvalidInputError as error:
        raise typer.BadParameter(error.summary, param_hint="--where") from None
    for name, value in options.items():
        if value and name in filters:
            raise typer.BadParameter(f"{name} is also an option of its own here: give one", param_hint="--where")
    return {**filters, **{name: value for name, value in options.items() if value}}  # type: ignore[typeddict-item]


def read_json(text: str, option: str) -> Json:
    """The value of an option that takes JSON, `@` and the name of a file of it, or `-` for stdin."""
    try:
        if text == "-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise typer.BadParameter(f"{error.filename}: {error.strerror}", param_hint=option) from None
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint=option) from None


def print_json(document: object) -> None:
    typer.echo(to_json(document, inf_nan_mode="constants"))
