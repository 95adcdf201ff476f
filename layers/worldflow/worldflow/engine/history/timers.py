"""The events of timers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from worldflow.engine.history.base import Decision, Fact

__all__ = [
    "TimerCancelled",
    "TimerFired",
    "TimerStarted",
]


class TimerStarted(Decision):
    event_type: Literal["TimerStarted"] = "TimerStarted"
    timer_id: str
    due: datetime
    sleep: bool | None = None
    """A task does nothing but wait for it. Otherwise it limits how long something may take."""

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.timer_id, "")


class TimerFired(Fact):
    event_type: Literal["TimerFired"] = "TimerFired"
    timer_id: str
    woken: bool | None = None
    """It fired before it was due, since somebody asked for that."""

    @property
    def fact_id(self) -> str:
        return self.timer_id


class TimerCancelled(Decision):
    event_type: Literal["TimerCancelled"] = "TimerCancelled"
    timer_id: str

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.event_type, self.timer_id, "")
