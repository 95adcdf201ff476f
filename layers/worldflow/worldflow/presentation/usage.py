"""Tokens of language models, as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from worldflow.engine.usage import Entry
from worldflow.presentation.words import printable
from worldflow.token_prices import Priced, sum_of, unpriced


def describe_usage(usage: Sequence[Entry]) -> str:
    """The tokens of a step on a line: `1,200 + 85 tokens of gpt-5-mini`."""
    return ", ".join(f"{usage_in_short([entry])} of {printable(str(entry['model']))}" for entry in usage)


def usage_in_short(usage: Sequence[Entry]) -> str:
    """The tokens of a step, whatever the model: `1,200 + 85 tokens`."""
    read, written = (sum(int(entry.get(name, 0)) for entry in usage) for name in ("input_tokens", "output_tokens"))
    return f"{read:,} + {written:,} tokens" if usage else ""


def describe_priced(parts: Sequence[Priced]) -> str:
    """The tokens of a run on a line, and what they cost where that is known."""
    said = describe_usage([part.entry for part in parts])
    if len(unpriced(parts)) == len(parts):
        return said
    return f"{said} (${sum_of(parts):.6f}{_without(unpriced(parts))})"


def _without(models: Sequence[str]) -> str:
    return f", without {', '.join(map(printable, models))}, which has no price" if models else ""


def usage_table(parts: Sequence[Priced]) -> Table:
    """The tokens of a run by model, and what they cost."""
    names = [name for part in parts for name in part.counts]
    first = ["input_tokens", "output_tokens"]
    columns = [*first, *(name for name in dict.fromkeys(names) if name not in first)]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("model", overflow="fold")
    for name in columns:
        table.add_column(name.removesuffix("_tokens").replace("_", " "), justify="right", no_wrap=True)
    table.add_column("$", justify="right", no_wrap=True)
    for part in parts:
        dollars = "no price" if part.dollars is None else f"{part.dollars:.6f}"
        table.add_row(Text(printable(part.model)), *(f"{part.counts.get(name, 0):,}" for name in columns), dollars)
    return table
