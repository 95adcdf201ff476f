"""EventBridge Scheduler with schedules that recur: some firings of each, up to a minute late, and now and then two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.simulation.crowds import FIRINGS
from worldflow.worlds.messages import ScheduleDue
from worldflow.worlds.schedule_records import ScheduleRecord

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation


class Recurring:
    """What is armed, and has fired."""

    def __init__(self, sim: Simulation) -> None:
        self.armed: dict[str, ScheduleRecord] = {}
        self.fired: list[ScheduleDue] = []
        """Each moment once."""
        self._sim = sim

    def arm(self, record: ScheduleRecord, now: datetime) -> None:
        """As `AWSWorld` does: one that is there is replaced."""
        is_new = record.schedule_id not in self.armed
        self.armed[record.schedule_id] = record
        if is_new:
            self._wait(record.schedule_id, now, FIRINGS)

    def _wait(self, schedule_id: str, after: datetime, left: int) -> None:
        sim, due = self._sim, self.armed[schedule_id].next_due(after)
        if left and due:
            late = 60 * sim.faults.fraction("recurring")
            sim.at(max(sim.now, due.timestamp() + late), lambda: self._fire(schedule_id, due, left))

    def _fire(self, schedule_id: str, due: datetime, left: int) -> None:
        sim, message = self._sim, ScheduleDue(schedule_id=schedule_id, due=due.astimezone(UTC))
        self.fired.append(message)
        sim.queues["timers"].send(message.dump(), sim.now)
        if sim.faults.strike("recurring", ["schedule fires twice"]):
            sim.at(sim.now + 40, lambda: sim.queues["timers"].send(message.dump(), sim.now) and None)
        self._wait(schedule_id, due, left - 1)
