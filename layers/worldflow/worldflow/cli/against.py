"""`check --against STACK`: replays the runs of an environment on the code of this checkout, before it is deployed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

from worldflow.cli.common import ON_THE_PATH, load, open_world, print_json
from worldflow.cli.progress import progress
from worldflow.engine.durations import seconds
from worldflow.engine.workflow.registry import import_failures
from worldflow.presentation.words import version_of
from worldflow.runtime.compatibility import Cause, Verdict, causes, records_to_check, verdicts

Format = Literal["text", "github", "json"]

Against = Annotated[
    str | None,
    typer.Option("--against", metavar="STACK", help="Replay this stack's runs on the code here instead."),
]
File = Annotated[
    Path | None,
    typer.Option("--local", metavar="FILE", help="The same, with the runs of a LocalWorld file.", dir_okay=False),
]
Workflows = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="With --against: only runs of this workflow; repeat it for several."),
]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="With --against: also ended runs that started in this time (default: 1d; 0s for none).",
    ),
]
Sample = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="With --against: at most N open and N ended runs of each workflow."),
]
Printed = Annotated[
    Format | None,
    typer.Option("--format", help="With --against: how to print (default: text; github in GitHub Actions)."),
]

_NAMED = 5
"""Runs that are named of each cause."""


def check_runs(
    modules: Sequence[str],
    local: Path | None,
    stack: str | None,
    workflows: Sequence[str],
    since: str,
    sample: int | None,
    form: Format,
) -> None:
    """Replays runs, and tells which would be blocked. Exits with 1 if one that is open would be."""
    load(",".join(modules))
    with open_world(local, stack) as world:
        begin = _since(since, world.now())
        records = records_to_check(world, workflows=workflows, since=begin, sample=sample)
        found: list[Verdict] = []
        with progress(None) as advance:
            for verdict in verdicts(world, records):
                found.append(verdict)
                advance()
    reasons = causes(found)
    if form == "json":
        told = [{"runs": [asdict(verdict) for verdict in cause.verdicts], "breaks": cause.breaks} for cause in reasons]
        print_json({"replayed": len(found), "causes": told, "not_imported": import_failures})
    else:
        for name, why in import_failures.items():
            typer.echo(_line("error", None, 1, f"module {name} cannot be imported: {why}", form))
        for cause in reasons:
            _tell(cause, form)
    typer.echo(_summary(found, f"stack {stack}" if stack else str(local)), err=True)
    if import_failures or any(verdict.breaks for verdict in found):
        raise typer.Exit(1)


def _tell(cause: Cause, form: Format) -> None:
    one = cause.example
    version = f" ({known})" if (known := version_of(one.version)) else ""
    number = sum(verdict.is_open for verdict in cause.verdicts) if cause.breaks else len(cause.verdicts)
    kind = "open" if one.is_open else "ended"
    which = f"{_runs(number, kind)} of {one.workflow}{version}"
    if one.problem:
        said = f"{which} {'would be blocked' if cause.breaks else 'cannot be replayed'}: {one.problem}"
    else:
        said = f"hint: {which} would continue with what is recorded, but now: {one.hint}"
    level = "error" if cause.breaks else "warning" if one.problem else "notice"
    named = ", ".join(_run(verdict) for verdict in cause.verdicts[:_NAMED])
    others = len(cause.verdicts) - _NAMED
    named += f" and {others:,} others" if others > 1 else " and another" if others == 1 else ""
    path, line = (one.place.path, one.place.line) if one.place else (None, 1)
    typer.echo(_line(level, path, line, said, form, named))


def _run(verdict: Verdict) -> str:
    return verdict.run_id if verdict.event is None else f"{verdict.run_id} at event {verdict.event}"


def _line(level: str, path: str | None, line: int, said: str, form: Format, runs: str = "") -> str:
    here = _from_here(path) if path else None
    if form == "github":
        place = f"file={_escaped(here, of_property=True)},line={line}," if here else ""
        text = f"{said}. Runs: {runs}" if runs else said
        return f"::{level} {place}title=worldflow check::{_escaped(text)}"
    return (f"{here}:{line}: " if here else "") + said + (f"\n    {runs}" if runs else "")


def _escaped(text: str, *, of_property: bool = False) -> str:
    """As GitHub's workflow commands want it."""
    for character in ("%", "\r", "\n", *((":", ",") if of_property else ())):
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _from_here(path: str) -> str:
    """The path from here, if it is below."""
    full = Path(path)
    return str(full.relative_to(Path.cwd())) if full.is_absolute() and full.is_relative_to(Path.cwd()) else path


def _summary(found: Sequence[Verdict], place: str) -> str:
    if not found:
        return f"There are no runs to replay in {place}."
    opened = [verdict for verdict in found if verdict.is_open]
    ended = len(found) - len(opened)
    replayed = f"{_runs(len(opened), 'open')} and {_runs(ended, 'ended')}" if ended else _runs(len(opened), "open")
    broken = sum(verdict.breaks for verdict in opened)
    freed = sum(verdict.status == "blocked" and not verdict.problem for verdict in opened)
    said = f"{_runs(broken, 'open')} would be blocked." if broken else "no open run would be blocked."
    now = f" {_runs(freed, 'blocked')} would continue." if freed else ""
    return f"Replayed {replayed} of {place}: {said}{now}"


def _runs(number: int, kind: str) -> str:
    return f"{number:,} {kind} {'run' if number == 1 else 'runs'}"


def _since(text: str, now: datetime) -> datetime | None:
    try:
        length = seconds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
    return now - timedelta(seconds=length) if length else None


def modules_of(targets: Sequence[str] | None) -> Sequence[str]:
    """The modules to import. Raises `BadParameter` for a path."""
    named = targets or os.environ.get("WORLDFLOW_WORKFLOWS", "workflows").split(",")
    for target in named:
        if "/" in target or target.endswith(".py"):
            raise typer.BadParameter(
                f"{target!r} is a path: name modules to import; {ON_THE_PATH}", param_hint="MODULE|PATH"
            )
    return named


def default_format() -> Format:
    """Annotations where GitHub runs this."""
    return "github" if os.environ.get("GITHUB_ACTIONS") == "true" else "text"


def refuse_without_runs(**options: object) -> None:
    """Raises for an option that only `--against` and `--local` have."""
    for name, value in options.items():
        if value:
            raise typer.BadParameter("needs --against or --local", param_hint=f"--{name}")
