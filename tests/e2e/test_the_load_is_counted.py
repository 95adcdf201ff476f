"""`make load`, with few runs: what it counts is right, and what is done twice does not escape it."""

from __future__ import annotations

import pytest

from benchmarks.load import Doubled, check_notes, measure
from tests.e2e.conftest import Project
from worldflow.devtools.stack import Stack


@pytest.mark.usefixtures("application")
def test_every_step_of_every_run_is_noted_once(project: Project, stack: Stack) -> None:
    report = list(measure(stack, project.notes, runs=5, steps=3))
    assert report[0].startswith("5 runs of 3 steps")
    assert any(line.startswith("open at once: ") for line in report)
    run_ids = [f"load-{number}" for number in range(5)]
    with pytest.raises(Doubled, match="nobody asked for"):
        check_notes(project.notes, run_ids[:4], 3)
    with project.notes.open("a") as notes:
        notes.write("load-3 s2 1 99\n")
    with pytest.raises(Doubled, match=r"more than once: \[\('load-3', 's2'\)\]"):
        check_notes(project.notes, run_ids, 3)
