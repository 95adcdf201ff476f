"""The tables that `make verify-aws` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worldflow.devtools.verify.outcome import Outcome, Result

STYLES = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "bold red",
    Outcome.UNDECIDED: "yellow",
    Outcome.SKIPPED: "dim",
}


def results_table(results: Sequence[Result]) -> Table:
    table = Table(title="What the stack does", title_justify="left", show_lines=True)
    for heading in ("check", "result", "IAM statement or behaviour of AWS", "seen"):
        table.add_column(heading, overflow="fold")
    for result in results:
        seen = Text("\n".join([result.detail, *(f"look in {place}" for place in result.places)]))
        table.add_row(
            Text(result.check.name), Text(result.outcome, STYLES[result.outcome]), Text(result.check.meets), seen
        )
    return table


def answers_table(answers: Iterable[tuple[str, Outcome, str]]) -> Table:
    table = Table(title="What AWS's documentation leaves open", title_justify="left", show_lines=True)
    for heading in ("question", "result", "answer"):
        table.add_column(heading, overflow="fold")
    for question, outcome, answer in answers:
        table.add_row(Text(question), Text(outcome, STYLES[outcome]), Text(answer))
    return table


def print_summary(console: Console, results: Sequence[Result]) -> None:
    counts = Counter(result.outcome for result in results)
    said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    console.print(f"{len(results)} checks: {said}.", style="bold red" if counts[Outcome.FAILED] else "bold")


def exit_status(results: Sequence[Result]) -> int:
    """1 if a check failed, or if all were skipped; else 0."""
    outcomes = {result.outcome for result in results}
    return int(Outcome.FAILED in outcomes or not outcomes & {Outcome.PASSED, Outcome.UNDECIDED})
