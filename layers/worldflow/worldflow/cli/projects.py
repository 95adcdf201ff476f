"""The commands that make, upgrade and rename a project."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from worldflow.engine.errors import ConfigurationError, WorldflowError
from worldflow.project import creating, naming, shipped, upgrading

HERE = Path()


def new(
    folder: Annotated[Path, typer.Argument(help="Where to create it: a new or an empty folder.", show_default=False)],
    name: Annotated[
        str | None,
        typer.Option(help="Name of its stacks, NAME-dev and NAME-prod.  [default: the folder's name]"),
    ] = None,
) -> None:
    """Create a project: a SAM application with an example workflow, its test, and this version of Worldflow."""
    folder = folder.resolve()
    if name is None and not naming.NAME.fullmatch(folder.name):
        raise ConfigurationError(f"{folder.name!r} cannot be the name of a stack: give the application one with --name")
    files = creating.create(folder, name or folder.name)
    typer.echo(f"Created {folder} with {len(files)} files. Next:\n\n  cd {folder}\n  make demo\n")


def upgrade(
    wheel: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Wheel of the new version.  [default: the version that runs this command]"
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
) -> None:
    """Merge a newer Worldflow into the project in this folder, and show the differences. Your changes are never
    overwritten. Exit with 1 if a file needs your attention.
    """
    own = upgrading.own_wheel(HERE)
    with tempfile.TemporaryDirectory() as folder:
        wheel = wheel or shipped.engine_wheel(Path(folder))
        if wheel.name == own.name and shipped.content(wheel) == shipped.content(own):
            typer.echo(f"The project already has {own.name}. To get another version, name its wheel with --wheel.")
            return
        changes = upgrading.plan(HERE, wheel)
        for change in changes:
            typer.echo(change.diff(), nl=False)
        if not dry_run:
            upgrading.apply(HERE, wheel, changes)
    typer.echo("\n".join([*upgrading.report(changes), f"{own.name} -> {wheel.name}"]))
    if dry_run:
        typer.echo("Nothing was changed.")
    unresolved = [change.path for change in changes if change.outcome in upgrading.UNRESOLVED]
    if any(change.outcome is upgrading.Outcome.BESIDE for change in changes):
        typer.echo("git is not installed, and files that you changed cannot be merged without it.", err=True)
    if unresolved:
        raise WorldflowError(f"resolve by hand: {', '.join(unresolved)}")


def rename(
    name: Annotated[str, typer.Argument(help="The new name.", show_default=False)],
) -> None:
    """Rename the application of the project in this folder. Stacks that are already deployed keep their names."""
    old = naming.current_name(HERE)
    files = naming.rename(HERE, name)
    typer.echo(f"Renamed {old} to {name} in {', '.join(files) or 'no file'}.")
    typer.echo(
        f"If you have deployed {old}-dev or {old}-prod, their runs stay there: the next deployment creates another "
        f"stack. Delete the old one when its runs have ended: make delete STACK={old}-dev"
    )


__all__ = ["new", "rename", "upgrade"]
