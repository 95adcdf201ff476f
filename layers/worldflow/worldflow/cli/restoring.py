"""The command that is given after the tables were restored from a backup."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from worldflow.cli.common import AsJson, Stack, open_world, print_json
from worldflow.terminal import console

WORDS = {
    "runs": "histories read",
    "open_runs": "open runs",
    "records_written": "records rewritten from their histories",
    "records_removed": "records removed that no history needs",
    "begun_anew": "runs without a history, restarted",
    "from_archive": "histories restored from the archive",
    "marked": "open runs marked as restored",
    "interrupted": "at-most-once attempts assumed to have started",
    "wanted_again": "abandoned attempts that are needed again",
    "generations": "newest generations corrected",
    "hooks_released": "hook tokens released",
    "hooks_held": "hook tokens held again",
    "requests_forgotten": "idempotency records deleted",
    "schedules_armed": "schedules armed",
    "schedules_deleted": "timers and schedules deleted that nothing waits for",
    "outcomes_told": "step outcomes delivered to their runs",
    "woken": "runs woken",
    "damaged": "histories with a gap, not changed",
    "failed": "failed; the log shows why",
}
"""What a report counts."""


def reconcile(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, without changing anything.")
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=20, help="Number of runs to reconcile concurrently.")] = 8,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Make everything else consistent with the histories after the tables were restored.

    Meant for a time at which no function runs: see "Disaster recovery" in the guide. It may be given again.
    """
    with open_world(None, stack) as world:
        # Here, since they need boto3, which a LocalWorld does without.
        from worldflow.runtime.reconcile import reconcile as reconcile_all
        from worldflow.worlds.aws.restored import AWSRestored
        from worldflow.worlds.aws.world import AWSWorld

        assert isinstance(world, AWSWorld)

        def tell(what: str, id: str) -> None:
            if dry_run and not as_json and what != "open_runs":
                typer.echo(f"{WORDS[what]}: {id}")

        report = reconcile_all(world, AWSRestored(world.access), dry_run=dry_run, concurrency=concurrency, tell=tell)
    counts = asdict(report)
    if as_json:
        print_json({**counts, "dry_run": dry_run})
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(justify="right")
        table.add_column()
        for name, count in counts.items():
            table.add_row(str(count), WORDS[name])
        console().print(table)
        if dry_run:
            typer.echo("Nothing was changed (--dry-run).", err=True)
    if report.damaged or report.failed:
        raise typer.Exit(1)
