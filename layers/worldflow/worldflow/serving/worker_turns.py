"""The turns that a worker takes: of several runs side by side, so that what they commit becomes durable at once.

    receive    the messages of the runs that have some, up to a number of runs
    advance    each turn to what it has to commit
    settle     all of them, in one transaction

and so on until the last turn is over; runs whose messages come meanwhile join in. What fails, fails alone: a turn that
raises is given up, and its messages come again; and where the common transaction fails, each of its turns is taken
anew by itself. So is one whose messages came before: it may be what killed a worker. Where it is the database that
fails, no turn is at fault: its messages come again as often as it takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from worldflow.engine.errors import ConflictError
from worldflow.engine.privacy import loggable
from worldflow.logs import about
from worldflow.runtime import firing
from worldflow.serving.worker_receipts import PASSING, Receipts, is_passing
from worldflow.turns.steps import StepExecutor
from worldflow.turns.turn import Turn
from worldflow.turns.turns import Turns
from worldflow.worlds.messages import RunMessage, ScheduleMessage, StepTask
from worldflow.worlds.served import Delivery, Served

_log = logging.getLogger("worldflow")

LONGEST_TURN = 5.0
"""Seconds after which a turn that runs inline steps continues as another one."""


@dataclass(slots=True)
class _UnderWay:
    deliveries: Sequence[Delivery]
    turn: Turn


class WorkerTurns:
    """Handles what is in the queues of runs and of the dead."""

    def __init__(self, world: Served, turns: Turns, executor: StepExecutor) -> None:
        self._world = world
        self._turns = turns
        self._executor = executor
        self._receipts = Receipts(world)
        self.stopped = False
        """No turn begins any more, and those under way end early."""

    def take(self, runs: int) -> bool:
        """Takes the turns of up to `runs` runs at a time, until none is under way. Returns whether there were any."""
        self._receipts.settle()
        groups = self._world.receive_groups("runs", runs)
        under_way = self._begin(groups)
        while under_way:
            under_way, over = self._advance(under_way)
            room = runs - len(under_way)
            if not under_way or self.stopped:
                self._receipts.acknowledge(over)
            elif room:
                under_way += self._begin(self._more(room, over))
        return bool(groups)

    def _more(self, runs: int, over: Sequence[Delivery]) -> Sequence[Sequence[Delivery]]:
        """What runs have received meanwhile. None where the database refuses that, which is for `take` to tell."""
        if not self._receipts.refused:
            try:
                groups = self._world.receive_groups("runs", runs, handled=over)
            except PASSING:
                pass
            else:
                self._receipts.handled(over)
                return groups
        self._receipts.acknowledge(over)
        return ()

    def _begin(self, groups: Sequence[Sequence[Delivery]]) -> list[_UnderWay]:
        begun = []
        for deliveries in groups:
            if isinstance(deliveries[0].message, ScheduleMessage):
                self._fire(deliveries)
            elif any(delivery.redelivered for delivery in deliveries):
                self._take_alone(deliveries)
            else:
                messages, arrived = _of_a_run(deliveries)
                run_id, out_of_time = messages[0].run_id, self._time()
                turn = self._turns.begin(run_id, messages, arrived=arrived, out_of_time=out_of_time)
                begun.append(_UnderWay(deliveries, turn))
        return begun

    def _advance(self, turns: Sequence[_UnderWay]) -> tuple[list[_UnderWay], list[Delivery]]:
        """Brings each turn to its next commit, and makes it. Returns those that are not over, and the messages of those
        that are.
        """
        waiting: list[_UnderWay] = []
        over: list[Delivery] = []
        for one in turns:
            try:
                with about(run_id=one.deliveries[0].message.run_id):
                    must_settle = one.turn.advance()
            except ConflictError:
                self._take_alone(one.deliveries)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                self._give_up(one.deliveries, error)
            else:
                if must_settle:
                    waiting.append(one)
                else:
                    over += one.deliveries
        if not waiting:
            return [], over
        try:
            with self._world.together():
                for one in waiting:
                    with about(run_id=one.deliveries[0].message.run_id):
                        one.turn.settle()
        except Exception as error:
            for one in waiting:
                one.turn.close(error)
                if is_passing(error):
                    self._give_up(one.deliveries, error)
                else:
                    self._take_alone(one.deliveries)
            return [], over
        return waiting, over

    def _take_alone(self, deliveries: Sequence[Delivery]) -> None:
        if self._receipts.refused:
            self._receipts.put_back(deliveries)
            return
        messages, arrived = _of_a_run(deliveries)
        with self._handled(deliveries):
            self._turns.take(messages[0].run_id, messages, arrived=arrived, redo=True, out_of_time=self._time())

    def _time(self) -> Callable[[], bool]:
        end = time.monotonic() + LONGEST_TURN
        return lambda: self.stopped or time.monotonic() > end

    def _fire(self, deliveries: Sequence[Delivery]) -> None:
        """Starts the runs of a schedule. No other messages are in their groups."""
        for delivery in deliveries:
            if isinstance(delivery.message, ScheduleMessage):
                with self._handled([delivery]):
                    firing.fire(self._world, delivery.message)

    def bury(self) -> bool:
        """Handles what was rejected too often: fails the attempt, or takes the turn without the workflow's code."""
        self._receipts.settle()
        deliveries = self._world.receive("dead", 1)
        for delivery in deliveries:
            with self._handled([delivery]):
                if isinstance(delivery.message, StepTask):
                    self._executor.bury(delivery.message)
                elif isinstance(delivery.message, ScheduleMessage):
                    firing.fire(self._world, delivery.message)
                else:
                    self._turns.take(delivery.message.run_id, [delivery.message], redo=True, use_code=False)
        return bool(deliveries)

    @contextlib.contextmanager
    def _handled(self, deliveries: Sequence[Delivery]) -> Iterator[None]:
        """Acknowledges messages that were handled, and gives up those that were not."""
        try:
            with about(run_id=deliveries[0].message.run_id):
                yield
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._give_up(deliveries, error)
        else:
            self._receipts.acknowledge(deliveries)

    def _give_up(self, deliveries: Sequence[Delivery], error: BaseException) -> None:
        if self.stopped and isinstance(error, asyncio.CancelledError):
            self._receipts.give_back(deliveries)
            return
        if is_passing(error):
            if self._receipts.put_back(deliveries) > 1:
                return
        else:
            self._receipts.reject(deliveries)
        run_id = deliveries[0].message.run_id
        _log.error("run %s: a message could not be handled and will be redelivered", run_id, exc_info=loggable(error))


def _of_a_run(deliveries: Sequence[Delivery]) -> tuple[list[RunMessage], list[datetime]]:
    """The messages of a run, and when each of them arrived."""
    of_it = [(one.message, one.arrived_at) for one in deliveries if isinstance(one.message, RunMessage)]
    return [message for message, _ in of_it], [arrived_at for _, arrived_at in of_it]
