"""The table, and the page that it is kept on."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.peers.asking import Answer, Failure
from benchmarks.peers.systems import System
from benchmarks.peers.workloads import WORKLOADS

LONG = 10_000  # ms: what takes longer is measured once
HEADINGS = ("", *WORKLOADS, "fsyncs of 100 steps")


@dataclass(kw_only=True, slots=True)
class Result:
    system: System
    versions: str
    answers: dict[str, list[Answer | Failure]] = field(default_factory=dict)
    fsyncs: str = ""

    def failure(self, row: str) -> Failure | None:
        return next((answer for answer in self.answers.get(row, ()) if isinstance(answer, Failure)), None)

    def times(self, row: str) -> list[float]:
        return [answer.ms for answer in self.answers.get(row, ()) if isinstance(answer, Answer)]

    def is_to_be_measured(self, row: str) -> bool:
        """Again, if it is no failure and does not take long."""
        return not self.failure(row) and max(self.times(row), default=0) < LONG

    def cells(self) -> list[str]:
        return [self.system.name, *(self._cell(row) for row in WORKLOADS), self.fsyncs]

    def _cell(self, row: str) -> str:
        if self.failure(row):
            return "failed"
        times = self.times(row)
        return _number(statistics.median(times)) if times else ""


def _number(ms: float) -> str:
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:.1f}"


def page(results: Sequence[Result], *, machine: str, date: str, times: int) -> str:
    lines = [
        "# Worldflow beside its peers",
        "",
        f"Written by `make bench-peers` on {date}. {machine}",
        "",
        f"Milliseconds, each the median of {times} measurements in this one run, in which the systems took turns. They",
        "compare with each other only: another machine, or this one under load, has others.",
        "",
        _row(HEADINGS),
        _row(["---", *("---:" for _ in HEADINGS[1:])]),
        *(_row(result.cells()) for result in results),
        "",
        *_remarks(results, times),
        "## What is measured",
        "",
        "A step returns the number it is given. Before each measurement a system is opened in an empty folder and runs",
        "ten steps. The workflow, the steps and the client that starts the run and waits for its result are in one",
        "process, as with a `LocalWorld`; a server is beside it.",
        "",
        "- *n steps*: one run that awaits them one after the other. *100 at once*: one run that awaits them together.",
        "- *200 runs of 5*: started at once, five steps after one another in each.",
        "- *100 resumes*: one run that waits 100 times, each time for what is sent when it waits.",
        "- *replay of 1,000*: a run of 1,000 steps, one after the other, brought back from its history. `LocalWorld`",
        "  reads it from the file too; the Replayer has it in memory, and is spared its sandbox.",
        "- *fsyncs of 100 steps*: calls of fsync and fdatasync in all processes of the system while those ran, counted",
        "  by strace in a run of its own.",
        "",
        "One figure is made again by the program of its system alone, as",
        '`.venv/peers/bin/python -m benchmarks.peers.dbos_sqlite "1,000 steps"`.',
        "",
        "## What each keeps",
        "",
        *(f"- **{result.system.name}**{result.versions}: {result.system.keeps}." for result in results),
        "",
    ]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _remarks(results: Sequence[Result], times: int) -> list[str]:
    remarks = []
    for result in results:
        for row in result.answers:
            measured = len(result.times(row))
            if failure := result.failure(row):
                remarks.append(f"- {result.system.name}, {row}: {failure.why}")
            elif measured < times:
                remarks.append(
                    f"- {result.system.name}, {row}: measured {measured} of {times} times, for it takes long"
                )
    return [*remarks, ""] if remarks else []


def versions(installed: Mapping[str, str], system: System) -> str:
    names = [*system.packages, *system.servers]
    told = ", ".join(f"{name} {installed.get(name, 'not installed')}" for name in names)
    return f" ({told})" if told else ""


def machine() -> str:
    found = f"{os.cpu_count()} processors, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{found}, {platform.machine()}."
