"""The timeline of a run as SVG: a line each for steps, timers, signals, children and hooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from worldflow.engine.history.spans import Span
from worldflow.presentation.words import duration

LINES = 10_000
"""Lines of a timeline."""
WIDTH = 1_000
ROW = 22
_LEAST = 3.0
"""Width of the shortest bar."""


@dataclass(frozen=True, slots=True)
class Bar:
    left: float
    width: float
    kind: str
    """`waited`, `attempt`, `failed`, or another that the style sheet knows."""
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    kind: str
    state: str
    took: str
    top: int
    bars: Sequence[Bar]
    href: str | None = None
    """The run that it leads to."""


@dataclass(frozen=True, slots=True)
class Drawing:
    begin: datetime
    end: datetime
    lines: Sequence[Line]
    ticks: Sequence[tuple[float, str]]
    height: int
    left_out: int


def zoomed(text: str, begin: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The part of a run that an address asks for, as two numbers of seconds since 1970; else the whole run."""
    first, _, last = text.partition("-")
    try:
        moments = datetime.fromtimestamp(float(first), UTC), datetime.fromtimestamp(float(last), UTC)
    except (ValueError, OverflowError, OSError):
        return begin, end
    return moments if moments[0] < moments[1] else (begin, end)


def draw(
    spans: Sequence[Span], begin: datetime, end: datetime, streams: Sequence[tuple[str, datetime, datetime]] = ()
) -> Drawing:
    """The lines of a timeline between two moments.

    begin, end: what is shown; spans outside are left out.
    streams: when each was written, from its first row to its last.
    """
    total = max((end - begin).total_seconds(), 1e-6)

    def x(moment: datetime) -> float:
        return max(0.0, min(1.0, (moment - begin).total_seconds() / total)) * WIDTH

    shown = [span for span in spans if span.begin <= end and (span.end or end) >= begin]
    lines = []
    for number, span in enumerate(shown[:LINES]):
        bars = _bars(span, end, x)
        took = "open" if span.end is None else duration(span.end - span.begin)
        label = span.name if span.kind != "timer" else f"timer {span.id}"
        lines.append(Line(label, span.kind, span.outcome or "open", took, number * ROW, bars, href=span.child_run_id))
    for name, first, last in streams:
        bar = _bar(first, last, "stream", f"stream {name}: written for {duration(last - first)}", x)
        lines.append(Line(name, "stream", "", duration(last - first), len(lines) * ROW, [bar]))
    ticks = [(WIDTH * part / 4, f"+{duration(timedelta(seconds=total * part / 4))}") for part in range(5)]
    return Drawing(begin, end, lines, ticks, len(lines) * ROW, max(0, len(shown) - LINES))


def _bars(span: Span, end: datetime, x: Callable[[datetime], float]) -> list[Bar]:
    if span.kind != "step":
        return [_bar(span.begin, span.end or end, span.outcome or "open", _title(span), x)]
    bars, free = [], span.begin
    for attempt in span.attempts:
        if attempt.begin > free:
            bars.append(_bar(free, attempt.begin, "waited", f"waits {duration(attempt.begin - free)}", x))
        until, began = attempt.end or end, attempt.began
        if began > attempt.begin:
            title = f"attempt {attempt.number}, {duration(began - attempt.begin)} in its queue"
            bars.append(_bar(attempt.begin, began, "queued", title, x))
        title = f"attempt {attempt.number}, {attempt.outcome or 'open'}, {duration(until - began)}"
        bars.append(_bar(began, until, attempt.outcome or "open", title, x))
        free = until
    return bars


def _title(span: Span) -> str:
    took = duration(span.end - span.begin) if span.end else "open"
    return f"{span.kind} {span.name}: {span.outcome or 'open'}, {took}"


def _bar(begin: datetime, end: datetime, kind: str, title: str, x: Callable[[datetime], float]) -> Bar:
    left = min(x(begin), WIDTH - _LEAST)
    return Bar(round(left, 2), round(max(x(end) - left, _LEAST), 2), kind, title)
