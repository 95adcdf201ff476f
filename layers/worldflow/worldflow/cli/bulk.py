"""Commands that act on many runs: `retry --where 'status=failed'`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated

import typer

from worldflow.cli.common import filters_of, open_world, print_json
from worldflow.cli.progress import progress
from worldflow.engine.errors import InvalidInputError
from worldflow.presentation import run_table
from worldflow.runtime.bulk import Action, Bulk, Outcome, either
from worldflow.runtime.where import describe
from worldflow.terminal import console
from worldflow.worlds.base import World

SHOWN = 5
"""Runs that a dry run shows."""
_FAILURES = 20
"""Errors that are printed; --json has all."""
_INTERRUPTED = 130
"""The exit code of a command that is interrupted, as shells have it."""

SomeRun = Annotated[str | None, typer.Argument(metavar="[RUN]", help="The run's id.", show_default=False)]
Where = Annotated[
    str | None,
    typer.Option(metavar="CONDITIONS", help="Act on all runs that match, such as 'workflow=order started>1d'."),
]
Yes = Annotated[bool, typer.Option("--yes", help="With --where: act. Default: show what would be done.")]
Rate = Annotated[str, typer.Option(metavar="N/s", help="With --where: the most runs in a second (/s) or minute (/m).")]
Continue = Annotated[
    str | None,
    typer.Option("--continue", metavar="TOKEN", help="Continue an interrupted command, in place of --where."),
]

_RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|m)")
_DONE: dict[Action, str] = {
    "retry": "Retried",
    "fork": "Forked",
    "cancel": "Requested cancellation of",
    "terminate": "Requested termination of",
    "pause": "Requested a pause of",
    "unpause": "Requested an end of the pause of",
    "resume": "Resumed",
}


def refuse_both(where: str | None, token: str | None) -> None:
    """Raises `BadParameter` where a run is named, and others are chosen too."""
    if where is not None or token is not None:
        raise typer.BadParameter("a run is named: leave out --where and --continue", param_hint="RUN")


def act(
    action: Action,
    where: str | None,
    token: str | None,
    yes: bool,
    rate: str,
    local: Path | None,
    stack: str | None,
    as_json: bool,
    *,
    reason: str | None = None,
    after: int | None = None,
    alone: Mapping[str, object] = {},
) -> None:
    """Shows on which runs it would act, or acts.

    alone: the value of an option that only one run can have.
    """
    if (where is None) == (token is None):
        raise typer.BadParameter("name a run, or choose runs with --where", param_hint="RUN")
    for option, value in alone.items():
        if value:
            raise typer.BadParameter("is for one run: leave it out with --where", param_hint=option)
    pause = interval(rate)
    with open_world(local, stack) as world:
        bulk = _bulk(world, action, where, token, reason, after)
        matching = bulk.count(world)
        if yes:
            place = f" --local {shlex.quote(str(local))}" if local else f" --stack {stack}" if stack else ""
            _act(world, bulk, matching, pause, place, as_json)
        else:
            _preview(world, bulk, matching, as_json)


def _bulk(
    world: World, action: Action, where: str | None, token: str | None, reason: str | None, after: int | None
) -> Bulk:
    hint = "--where" if token is None else "--continue"
    try:
        if token is None:
            now = world.now()
            return Bulk.of(action, filters_of(where, now), now, reason=reason, after=after)
        bulk = Bulk.from_token(token)
    except InvalidInputError as error:
        raise typer.BadParameter(error.summary, param_hint=hint) from None
    if bulk.action != action:
        raise typer.BadParameter(f"the token is that of {bulk.action!r}", param_hint=hint)
    return bulk


def _preview(world: World, bulk: Bulk, matching: int, as_json: bool) -> None:
    first = bulk.first(world, SHOWN)
    if as_json:
        runs = [record.describe() for record in first]
        print_json({"action": bulk.action, "dry_run": True, "matching": matching, "runs": runs})
        return
    statuses = either([status or "any" for status in bulk.statuses])
    typer.echo(f"Would {bulk.action} {_runs(matching)}: status {statuses}, {describe(bulk.filters)}.", err=True)
    if first:
        console().print(run_table(first))
        more = f"... and {_runs(matching - len(first), 'other')}. " if matching > len(first) else ""
        typer.echo(f"{more}Nothing was done: add --yes to {bulk.action} them.", err=True)


def _act(world: World, bulk: Bulk, matching: int, pause: float, place: str, as_json: bool) -> None:
    outcomes: list[Outcome] = []
    left: Bulk | None = bulk
    try:
        with progress(matching) as advance:
            due = monotonic()
            for outcome, rest in bulk.run(world):
                outcomes.append(outcome)
                left = rest
                advance()
                due = max(due + pause, monotonic())
                wait_until(due)
        left = None
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None
    finally:
        _tell(bulk.action, outcomes, left, place, as_json)
    if any(outcome.how == "failed" for outcome in outcomes):
        raise typer.Exit(1)


def wait_until(due: float) -> None:
    if (left := due - monotonic()) > 0:
        sleep(left)


def _tell(action: Action, outcomes: list[Outcome], left: Bulk | None, place: str, as_json: bool) -> None:
    by_how = {how: [outcome for outcome in outcomes if outcome.how == how] for how in ("done", "skipped", "failed")}
    if as_json:
        told = {how: {one.run_id: one.message for one in those} for how, those in by_how.items()}
        print_json({"action": action, **told, "continue": left and left.token})
    else:
        skipped = f" Skipped {len(by_how['skipped']):,}." if by_how["skipped"] else ""
        failed = f" {len(by_how['failed']):,} failed:" if by_how["failed"] else ""
        typer.echo(f"{_DONE[action]} {_runs(len(by_how['done']))}.{skipped}{failed}")
        for outcome in by_how["failed"][:_FAILURES]:
            typer.echo(f"  {outcome.run_id}: {' '.join(outcome.message.split())}", err=True)
    if left:
        command = f"python -m worldflow {action} --continue {left.token} --yes{place}"
        typer.echo(f"Interrupted. To continue: {command}", err=True)


def interval(rate: str) -> float:
    """The seconds from one run to the next."""
    match = _RATE.fullmatch(rate)
    if match is None or not float(match[1]):
        raise typer.BadParameter(f"{rate!r} is not a rate, such as 20/s or 100/m", param_hint="--rate")
    return (1 if match[2] == "s" else 60) / float(match[1])


def _runs(number: int, kind: str = "") -> str:
    words = f"{kind} run" if kind else "run"
    return f"{number:,} {words}{'' if number == 1 else 's'}"
