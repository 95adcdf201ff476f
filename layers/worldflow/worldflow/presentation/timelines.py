"""The timeline of a run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.table import Table
from rich.text import Text

from worldflow.engine.history import Event
from worldflow.engine.history.spans import Span, spans_of
from worldflow.presentation.usage import usage_in_short
from worldflow.presentation.words import duration, type_name

BAR_WIDTH = 32
LIMIT = 50
"""Lines of a timeline."""


def timeline(events: Sequence[Event]) -> Table:
    """What was open in a history, when each began, how long it took, and both as bars: thin while an attempt waits in
    its queue.
    """
    spans = spans_of(events)
    first, last = events[0].at, events[-1].at
    total = (last - first).total_seconds() or 1e-9

    def column(moment: datetime) -> float:
        return (moment - first).total_seconds() / total * BAR_WIDTH

    def bar(span: Span) -> Text:
        begin = min(int(column(span.begin)), BAR_WIDTH - 1)
        length = max(1, min(round(column(span.end or last) - column(span.begin)), BAR_WIDTH - begin))
        cells = ["━"] * length
        for attempt in span.attempts:
            waits = range(round(column(attempt.begin)) - begin, round(column(attempt.began)) - begin)
            cells[waits.start : waits.stop] = "─" * len(range(length)[waits.start : waits.stop])
        return Text(" " * begin + "".join(cells), style=style(span))

    table = Table(box=None, pad_edge=False)
    table.add_column("timeline", overflow="fold")
    table.add_column("began", justify="right", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("", width=BAR_WIDTH, no_wrap=True)
    table.add_column("")
    for span in spans[:LIMIT]:
        took = "open" if span.end is None else duration(span.end - span.begin) if span.end > span.begin else ""
        table.add_row(
            Text(label(span)),
            f"+{duration(span.begin - first)}",
            took,
            bar(span),
            Text(note(span), style=style(span)),
        )
    if len(spans) > LIMIT:
        table.add_row(f"and {len(spans) - LIMIT} more")
    return table


def label(span: Span) -> str:
    match span.kind:
        case "step" | "child":
            return f"{span.kind} {span.name} ({span.id})"
        case "timer" if span.due:
            return f"timer {span.id} of {duration(span.due - span.begin)}"
        case "value":
            return f"hook {span.name} resumed"
    return f"{span.kind} {span.name}"


def note(span: Span) -> str:
    match span.outcome:
        case "failed" if span.error:
            return ", ".join(filter(None, [type_name(span.error), _queued(span), _tokens(span)]))
        case "abandoned" | "cancelled" | "refused":
            return span.outcome
    if span.asked_to_end and span.outcome is None:
        return "cancellation requested"
    return _after_attempts(span)


def _after_attempts(span: Span) -> str:
    again = span.attempts[-1].number > 1 if span.attempts else False
    return ", ".join(
        filter(None, [f"attempt {span.attempts[-1].number}" if again else "", _queued(span), _tokens(span)])
    )


def _queued(span: Span) -> str:
    """How long its attempts waited in their queue."""
    waited = sum(((attempt.began - attempt.begin) for attempt in span.attempts), timedelta())
    return f"queued for {duration(waited)}" if waited else ""


def _tokens(span: Span) -> str:
    """Those of all attempts."""
    return usage_in_short([entry for attempt in span.attempts for entry in attempt.usage])


def style(span: Span) -> str:
    match span.outcome:
        case "failed" | "refused":
            return "red"
        case "abandoned":
            return "yellow"
        case "cancelled":
            return "dim"
        case "completed" if span.kind in ("step", "child"):
            return "green"
        case "completed" if span.kind in ("timer", "hook", "webhook"):
            return "blue"
    return "magenta" if span.kind in ("signal", "value") or span.end else "cyan"
