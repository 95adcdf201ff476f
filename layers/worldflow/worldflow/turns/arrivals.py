"""The order in which a turn applies what its messages say.

If nobody took turns for an hour, a signal waits together with the timer of the timeout that it was in time for. What
arrived first is applied first. A timer counts as arrived when it was due, whenever its message comes: that may come
before messages that were sent earlier, or still be on its way. So a timer that was due before something arrived fires
before that.

This decides only in which order facts are recorded. Every replay follows the record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from worldflow.engine.history import StepFailed, TimerFired
from worldflow.engine.history.state import RunState
from worldflow.worlds.messages import FactArrived, HeartbeatDue, RunMessage


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message of a turn, and when what it says happened, as far as that is known."""

    message: RunMessage
    at: datetime | None


def in_order(messages: Sequence[RunMessage], arrived: Sequence[datetime | None], state: RunState) -> list[Arrival]:
    """The messages of a turn in the order in which they are applied.

    messages: as the queue gave them, which keeps the order of those that were not delayed.
    arrived: when each came into the queue. Where that is not known of all, the order is left as it is.
    state: that of the run before the turn.
    """
    moments: list[datetime | None] = []
    latest: datetime | None = None
    known = len(arrived) == len(messages) and None not in arrived
    for message, came in zip(messages, arrived if known else [None] * len(messages), strict=True):
        due = _due(message, state)
        if due is None and came is not None:
            # A queue's clock need not be as exact as its order.
            latest = max(came, latest or came)
        moments.append(due or (latest if known else None))
    arrivals = [Arrival(message, at) for message, at in zip(messages, moments, strict=True)]
    return sorted(arrivals, key=_key) if known else arrivals


def _due(message: RunMessage, state: RunState) -> datetime | None:
    """When a message was due that was sent ahead of its time to say what happens then."""
    match message:
        case FactArrived(fact=TimerFired(timer_id=timer_id, woken=None)) if timer_id in state.timers:
            return state.timers[timer_id].due
        case FactArrived(fact=StepFailed() as fact, is_timeout=True):
            step = state.steps.get(fact.step_id)
            return step.deadline if step and step.attempt == fact.attempt else None
    return None


def _key(arrival: Arrival) -> tuple[bool, datetime, bool]:
    message, at = arrival.message, arrival.at
    assert at is not None
    is_timer = isinstance(message, FactArrived) and isinstance(message.fact, TimerFired)
    # Whether a step still beats is asked when its outcome would be known, if it has one.
    return isinstance(message, HeartbeatDue), at, not is_timer


class TimersDue:
    """The open timers of a run that are due now, for the turn in which they are taken one after the other."""

    def __init__(self, state: RunState, now: datetime) -> None:
        due = ((timer.due, timer.timer_id) for timer in state.timers.values() if timer.due <= now)
        self._timers = sorted(due, reverse=True)

    def before(self, at: datetime | None, fact: object) -> Iterator[TimerFired]:
        """Those that fire before something that happened at `at`: of the same moment timers are first."""
        is_timer = isinstance(fact, TimerFired)
        while self._timers and at is not None:
            due, timer_id = self._timers[-1]
            if due > at or (due == at and is_timer):
                return
            self._timers.pop()
            yield TimerFired(timer_id=timer_id)
