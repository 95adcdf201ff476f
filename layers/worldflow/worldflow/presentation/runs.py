"""What is known of runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from rich.table import Table
from rich.text import Text

from worldflow.presentation.doing import paused
from worldflow.presentation.usage import describe_priced
from worldflow.presentation.words import as_json, describe_attributes, describe_failure, duration, printable, version_of
from worldflow.token_prices import Prices, priced
from worldflow.worlds.records import RunRecord

_STYLES = {
    "pending": "dim",
    "running": "cyan",
    "completed": "green",
    "continued": "green",
    "failed": "red",
    "blocked": "red",
    "paused": "yellow",
    "cancelled": "yellow",
}


def run_details(record: RunRecord, prices: Prices | None = None) -> Table:
    """All that the record of a run says.

    prices: those of tokens.
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("run", record.run_id)
    table.add_row("workflow", ", ".join(filter(None, (record.workflow_name, version_of(record.version)))))
    table.add_row("status", _status(record.status))
    if record.status_text:
        table.add_row("", Text(printable(record.status_text)))
    if record.attributes:
        table.add_row("attributes", Text(describe_attributes(record.attributes)))
    if record.headers:
        table.add_row("headers", Text(describe_attributes(record.headers)))
    table.add_row("started", _moment(record.created_at))
    if record.max_attempts:
        table.add_row("attempt", f"{record.attempt or 1} of {record.max_attempts}")
    if record.start_at:
        table.add_row("begins" if record.status == "pending" else "began", _moment(record.start_at))
    if record.parent:
        table.add_row("started by", f"{record.parent.run_id}, as its child {record.parent.child_id}")
    if record.fork_of:
        after = f", after event {record.fork_of.after}" if record.fork_of.after is not None else ""
        table.add_row("continues from", f"{record.fork_of.run_id}{after}")
    if record.ended_at:
        table.add_row("ended", f"{_moment(record.ended_at)}, after {duration(record.ended_at - record.created_at)}")
    if record.archived_at:
        table.add_row("archived", _moment(record.archived_at))
    if record.next_run_id:
        table.add_row("continued as", record.next_run_id)
    table.add_row("input", Text(printable(as_json(record.input))))
    if record.status == "completed":
        table.add_row("result", Text(printable(as_json(record.result))))
    if record.usage:
        table.add_row("tokens", Text(describe_priced(priced(record.usage, prices or {}))))
    if record.error:
        table.add_row("error", Text(describe_failure(record.error, limit=2_000), style="red"))
    if record.reason:
        table.add_row("reason", Text(printable(record.reason)))
    if record.paused:
        table.add_row("paused", Text(paused(record.paused)))
    if record.blocked_reason:
        table.add_row("blocked by", Text(printable(record.blocked_reason), style="red"))
    return table


def run_table(records: Iterable[RunRecord]) -> Table:
    """Many runs, a line each. What their workflows say of them has a column where any says something."""
    rows = [(record, _said(record)) for record in records]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("run", overflow="fold")
    table.add_column("workflow", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("started", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    if any(said for _, said in rows):
        table.add_column("", overflow="fold")
    for record, said in rows:
        took = duration(record.ended_at - record.created_at) if record.ended_at else ""
        known = (record.run_id, record.workflow_name, _status(record.status), _moment(record.created_at), took)
        table.add_row(*known, *([Text(said)] if said else []))
    return table


def count_table(counts: Mapping[str, int]) -> Table:
    """Numbers of runs by status, and their sum."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for status, number in counts.items():
        if number:
            table.add_row(_status(status), f"{number:,}")
    table.add_row("total", f"{sum(counts.values()):,}")
    return table


def _said(record: RunRecord) -> str:
    parts = (printable(record.status_text or ""), describe_attributes(record.attributes))
    return "  ".join(part for part in parts if part)


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _status(status: str) -> Text:
    return Text(status, style=_STYLES.get(status, ""))
