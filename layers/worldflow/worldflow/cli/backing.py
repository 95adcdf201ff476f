"""The command that copies a LocalWorld file."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Annotated

import typer

from worldflow.cli.common import AsJson, print_json
from worldflow.engine.errors import WorldflowError
from worldflow.worlds.local.backup import back_up


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The LocalWorld file.", dir_okay=False)],
    to: Annotated[Path, typer.Argument(metavar="COPY", help="The file to write, which must not exist.")],
    as_json: AsJson = False,
) -> None:
    """Copy a LocalWorld file while workers use it."""
    try:
        size = back_up(file, to)
    except (OSError, sqlite3.Error) as error:
        raise WorldflowError(f"{file} cannot be copied to {to}: {error}") from None
    if as_json:
        print_json({"file": str(to), "bytes": size})
    else:
        typer.echo(f"Copied {file} to {to} ({size:,} bytes).")
