"""What an operator does after the tables were restored."""

from __future__ import annotations

from worldflow.cli.restoring import WORDS
from worldflow.devtools.verify.checks.timers import start_to_sleep
from worldflow.devtools.verify.failures import Failed, Skipped
from worldflow.devtools.verify.outcome import check
from worldflow.devtools.verify.target import Target
from worldflow.runtime.reconcile import reconcile as reconcile_all
from worldflow.worlds.aws.restored import AWSRestored

MOST_BYTES = 20_000_000
"""Of a table. A pass reads both whole, and a verification is to cost no more than cents."""

HARMLESS = {"open_runs", "marked", "woken"}
"""What a pass does with every open run."""


@check("Reconcile", behaviour="your rights: dynamodb:Scan on both tables, scheduler:ListSchedules")
def reconcile(target: Target) -> str:
    """`python -m worldflow reconcile --dry-run` finds nothing to repair in a run that has ended and in one that sleeps,
    and finds it when the record of the first is missing. (The record is taken away for the second pass.)
    """
    for table in ("Events", "Runs"):
        found = target.client("dynamodb").describe_table(TableName=target.outputs[f"{table}TableName"])["Table"]
        if (size := found.get("TableSizeBytes", 0)) > MOST_BYTES:
            raise Skipped(f"{found['TableName']} has {size:,} bytes, and would be read whole twice")
    ended = target.start("verify_pass", {"value": "x"})
    target.ended(ended)
    ours = {ended, *start_to_sleep(target)}
    if repairs := repairs_of(target, ours):
        raise Failed(f"a pass would repair what is healthy: {'; '.join(repairs)}")
    record = target.world.get_run(ended)
    if record is None:
        raise Failed(f"run {ended} has no record")
    key = {"run_id": {"S": ended}}
    target.client("dynamodb").delete_item(TableName=target.outputs["RunsTableName"], Key=key)
    try:
        repairs = repairs_of(target, ours)
    finally:
        target.world.create_run(record)
    if repairs != [f"{WORDS['records_written']}: {ended}"]:
        raise Failed(f"the record of {ended} is missing, and a pass would do: {'; '.join(repairs) or 'nothing'}")
    return "nothing to repair; a record that is missing is found"


def repairs_of(target: Target, ours: set[str]) -> list[str]:
    """What a pass would repair of some runs and schedules. Others may change while it reads."""
    told: list[tuple[str, str]] = []
    reconcile_all(
        target.world, AWSRestored(target.world.access), dry_run=True, tell=lambda what, id: told.append((what, id))
    )
    return [f"{WORDS[what]}: {id}" for what, id in told if what not in HARMLESS and id.partition(" ")[0] in ours]
