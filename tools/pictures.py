"""Pictures of runs: `make pictures` draws the timeline of each example's demo, in light and in dark, and one terminal.

The timelines show what `python -m worldflow status` shows: what was open in a run, from when to when.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from importlib import import_module
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from worldflow.engine.history import Event
from worldflow.engine.history.spans import Span, spans_of
from worldflow.presentation import EventLines, duration, is_internal, timeline
from worldflow.presentation.timelines import LIMIT, label, note, style

PROJECT = Path(__file__).parent.parent
EXAMPLES = PROJECT / "examples"
TERMINAL = PROJECT / "docs" / "pictures" / "events.svg"

WIDTH, LABELS, NOTES = 860, 190, 190
ROW, TOP = 22, 34
BARS = WIDTH - LABELS - NOTES
SHORTEST = 3.0
TICKS = 4

CSS = """
text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #24292f; }
.quiet { fill: #6e7781; }
.paper { fill: #ffffff; }
.line { stroke: #d8dee4; }
.green { fill: #2da44e; } .blue { fill: #54aeff; } .cyan { fill: #39c5cf; } .magenta { fill: #a475f9; }
.red { fill: #cf222e; } .yellow { fill: #d4a72c; } .dim { fill: #afb8c1; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet { fill: #8b949e; }
  .paper { fill: #0d1117; }
  .line { stroke: #30363d; }
  .green { fill: #3fb950; } .blue { fill: #388bfd; } .red { fill: #f85149; } .dim { fill: #6e7681; }
}
"""


def picture(events: Sequence[Event], title: str) -> str:
    """The timeline of a history as SVG."""
    spans = spans_of(events)[:LIMIT]
    first, last = events[0].at, events[-1].at
    height = TOP + ROW * len(spans) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title)}">',
        f"<style>{CSS}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>',
        *_axis(last - first, height),
        *(part for number, span in enumerate(spans) for part in _row(span, TOP + ROW * number, first, last)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _axis(total: timedelta, height: int) -> list[str]:
    parts = []
    for tick in range(TICKS + 1):
        x = LABELS + BARS * tick / TICKS
        parts.append(f'<line class="line" x1="{x:.1f}" x2="{x:.1f}" y1="26" y2="{height - 8}"/>')
        parts.append(
            f'<text class="quiet" x="{x:.1f}" y="18" text-anchor="middle">{duration(total * tick / TICKS)}</text>'
        )
    return parts


def _row(span: Span, top: int, first: datetime, last: datetime) -> list[str]:
    total = (last - first).total_seconds() or 1e-9
    begin = (span.begin - first).total_seconds() / total * BARS
    length = ((span.end or last) - span.begin).total_seconds() / total * BARS
    length = max(length, SHORTEST)
    begin = min(begin, BARS - SHORTEST)
    took = "" if span.end == span.begin else duration((span.end or last) - span.begin)
    remark = ", ".join(text for text in (took, note(span)) if text)
    return [
        f'<text class="label" x="10" y="{top + 15}">{escape(label(span))}</text>',
        f'<rect class="{style(span)}" x="{LABELS + begin:.1f}" y="{top + 5}" width="{length:.1f}" height="12" rx="2"/>',
        f'<text class="quiet" x="{LABELS + BARS + 10}" y="{top + 15}">{escape(remark)}</text>',
    ]


def terminal(events: Sequence[Event], command: str) -> str:
    """A terminal after the command that shows the events, and their timeline, as SVG."""
    console = Console(record=True, file=StringIO(), width=120, force_terminal=True, highlight=False)
    lines = EventLines()
    for event in events:
        line = lines.line(event)
        if not is_internal(event):
            console.print(line, no_wrap=True, overflow="ellipsis")
    console.print()
    console.print(timeline(events))
    without_fonts = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.S)  # of another host
    return console.export_svg(title=command, code_format=without_fonts, unique_id="events")


def main() -> int:
    histories: dict[str, list[Event]] = {
        demo.parent.name: asyncio.run(import_module(f"examples.{demo.parent.name}.demo").demo())
        for demo in sorted(EXAMPLES.glob("*/demo.py"))
    }
    for name, events in histories.items():
        title = f"What was open in a run of the example {name}, and for how long"
        (EXAMPLES / name / "timeline.svg").write_text(picture(events, title))
    TERMINAL.parent.mkdir(exist_ok=True)
    TERMINAL.write_text(terminal(histories["order_saga"], "python -m examples.order_saga.demo"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
