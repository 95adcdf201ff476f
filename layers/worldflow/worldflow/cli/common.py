"""What the commands share: options, the world they are about, JSON in and out."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import to_json

from worldflow.engine.errors import ConfigurationError
from worldflow.engine.history import Json
from worldflow.runtime import load_workflows
from worldflow.worlds.base import World
from worldflow.worlds.codec import load_codec
from worldflow.worlds.local import LocalWorld

_FIRST_POLL = 0.1
_LONGEST_POLL = 2.0

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
Value = Annotated[
    str | None, typer.Option("--value", metavar="JSON|@FILE|-", help="Its value: JSON, a file of it, or stdin.")
]
Reason = Annotated[str | None, typer.Option(help="Why; kept in the history.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]


@contextmanager
def open_world(local: Path | None, *, create: bool = False) -> Iterator[World]:
    """The world that the command is about."""
    if local is None:
        from worldflow.worlds.aws import AWSWorld

        yield AWSWorld()
        return
    if not create and not local.exists():
        raise ConfigurationError(f"there is no file {local}")
    codec = load_codec(os.environ.get("WORLDFLOW_PAYLOAD_CODEC"))
    with closing(LocalWorld(local, webhook_url=os.environ.get("WORLDFLOW_WEBHOOK_URL"), codec=codec)) as world:
        yield world


def pauses() -> Iterator[float]:
    """Seconds between two looks at a run, which grow while nothing happens."""
    pause = _FIRST_POLL
    while True:
        yield pause
        pause = min(pause * 1.5, _LONGEST_POLL)


def load(modules: str) -> None:
    # What does not import is told in a line, and not by the log with a traceback.
    logging.getLogger("worldflow").addHandler(logging.NullHandler())
    load_workflows(name.strip() for name in modules.split(",") if name.strip())


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
