"""An observer that notes what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from worldflow.turns.observer import Attempt, Blocked, Commit, Observer, SweepReport, TurnReport


class Notes(Observer):
    """Notes everything, in order."""

    def __init__(self) -> None:
        self.turns: list[TurnReport] = []
        self.commits: list[Commit] = []
        self.blocks: list[Blocked] = []
        self.attempts: list[Attempt] = []
        self.reports: list[SweepReport] = []
        self.said: list[str] = []

    @contextmanager
    def turn(self, turn: TurnReport) -> Iterator[None]:
        self.turns.append(turn)
        self.said.append(f"turn of {turn.run_id}")
        try:
            yield
        finally:
            self.said.append(f"end of turn of {turn.run_id}")

    def committed(self, commit: Commit) -> None:
        self.commits.append(commit)
        self.said.append(" ".join(event.event_type for event in commit.events))

    def blocked(self, blocked: Blocked) -> None:
        self.blocks.append(blocked)
        self.said.append(f"{blocked.turn.run_id} is blocked")

    @contextmanager
    def attempt(self, attempt: Attempt) -> Iterator[None]:
        self.attempts.append(attempt)
        self.said.append(f"attempt {attempt.task.step_id}/{attempt.task.attempt}")
        try:
            yield
        finally:
            outcome = attempt.outcome.event_type if attempt.outcome else "no outcome"
            self.said.append(f"end of attempt {attempt.task.step_id}/{attempt.task.attempt}: {outcome}")

    def swept(self, report: SweepReport) -> None:
        self.reports.append(report)

    def starts(self) -> list[str]:
        return [commit.run_id for commit in self.commits if commit.starts]

    def ends(self) -> list[tuple[str, str]]:
        return [(commit.run_id, commit.ended.event_type) for commit in self.commits if commit.ended]
