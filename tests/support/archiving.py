"""Archiving in tests: time passes, and the runs that ended before it leave the tables."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.support.local_tables import rows
from tests.support.systems import AWSSystem, System
from worldflow.runtime.archive import LEAST_AGE, ArchiveReport, archive_old_runs
from worldflow.worlds import LocalWorld


def archive(system: System, days: float = 2) -> ArchiveReport:
    """Archives all runs that have ended by now."""
    system.clock.forward(system.clock.now() + timedelta(days=days))
    return archive_old_runs(system.world, older_than=LEAST_AGE)


def left(system: System) -> dict[str, Any]:
    """What is in the tables, by table and how many."""
    if isinstance(system, AWSSystem):
        counts = {table: len(system.stack.items(table)) for table in ("events", "runs")}
        listed = system.stack.s3.list_objects_v2(Bucket=system.stack.resources.payload_bucket, Prefix="payloads/")
        payloads = [found["Key"] for found in listed.get("Contents", [])]
        return {name: found for name, found in {**counts, "payloads": payloads}.items() if found}
    assert isinstance(system.world, LocalWorld)
    return rows(system.world)
