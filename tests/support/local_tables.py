"""What is in the tables of a `LocalWorld`."""

from __future__ import annotations

from worldflow.worlds import LocalWorld

TABLES = ("commits", "runs", "items", "reserved", "sealed", "attributes")


def rows(world: LocalWorld) -> dict[str, int]:
    counts = {table: int(world._rows(f"select count(*) from {table}")[0][0]) for table in TABLES}
    return {table: count for table, count in counts.items() if count}
