"""A failing seed with as few faults as it takes."""

from __future__ import annotations

from tests.simulation import course
from tests.simulation.simulation import Note, Report

RUNS = 150
"""So often at most is the seed run again."""


def shrink(report: Report) -> tuple[Report, frozenset[str]]:
    """Runs the seed again without faults that its failure does not need. Returns the last report that failed in the
    same way, and the keys of the faults that were left out.
    """
    wanted, left_out, runs = kind(report.problems[0]), frozenset[str](), RUNS
    size = max(1, len(set(report.struck)) // 2)
    while runs > 0:
        faults = list(dict.fromkeys(report.struck))
        shorter = False
        for start in range(0, len(faults), size):
            if (runs := runs - 1) < 0:
                break
            tried = left_out | frozenset(faults[start : start + size])
            again = course.run(report.seed, tried)
            if any(kind(problem) == wanted for problem in again.problems):
                report, left_out, shorter = again, tried, True
        if size == 1 and not shorter:
            break
        size = max(1, size // 2)
    return report, left_out


def kind(problem: str) -> str:
    """The invariant that a problem violates."""
    return problem.partition(":")[0]


def trace(report: Report) -> list[Note]:
    """The notes of the runs that the first problem is about, and of what concerns all."""
    runs = {run_id for run_id in report.run_ids if run_id in _words(report.problems[0])}
    bases = {run_id.partition("~")[0] for run_id in runs}
    if not bases:
        return report.notes
    return [note for note in report.notes if not note.about or note.about.partition("~")[0] in bases]


def _words(text: str) -> set[str]:
    return {word.strip(":,;'\"()[]") for word in text.split()}
