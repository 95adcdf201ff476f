"""The calls of an `Orchestrator` about schedules."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from worldflow.engine.durations import Duration
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import extra_runs, schedules, starting
from worldflow.runtime.run_handle import RunHandle
from worldflow.runtime.schedule_fields import Remaining
from worldflow.worlds.base import World
from worldflow.worlds.schedule_records import Overlap, ScheduleRecord
from worldflow.worlds.schedules import SchedulePage


class ScheduleCalls:
    """Creates, reads, changes and deletes schedules."""

    _world: World

    async def create_schedule(
        self,
        schedule_id: str,
        workflow: Workflow[..., Any] | str,
        input: Mapping[str, Any] | None = None,
        *,
        schedule: str,
        timezone: str = "UTC",
        overlap: Overlap = "skip",
        jitter: Duration | None = None,
        catch_up: Duration | None = None,
        remaining: int | None = None,
        paused: bool = False,
    ) -> ScheduleRecord:
        """Creates a schedule, which starts a run whenever it is due, with an id like `<schedule_id>:20261122T080000Z`.

        schedule_id: up to 50 letters, digits and `_.-`. Does nothing if an identical schedule exists.
        workflow, input: as for `start_workflow`.
        schedule: `cron(0 8 ? * MON-FRI *)` or `rate(5 minutes)`, in the syntax of EventBridge Scheduler. A rate counts
            from now, and is first due after one interval.
        timezone: time zone of a cron expression, such as `Europe/Berlin`.
        overlap: what to do when it is due and the previous run has not ended. `skip`: nothing. `allow`: start the run
            next to it. `buffer_one`: start one more when that run has ended. `buffer_all`: start each in order, each
            when the one before has ended; at most 1,000 wait, and more are skipped. `cancel_other`: cancel that run,
            and start the new one when it has ended. `terminate_other`: terminate it, and start the new one.
        jitter: each run begins up to this long after it is due, at most a day: always the same for the same time, and
            spread evenly over different ones. It is `pending` until then.
        catch_up: when it is handled this long after it was due, or later, nothing is started, as after an outage; at
            least two minutes. Default: a run is started however late it is.
        remaining: how many runs it starts. It is finished then: kept, and not due any more. Default: no limit.
        Raises `InvalidInputError` for invalid arguments, and `ScheduleExistsError` for the id of another schedule.
        """
        record, _ = await asyncio.to_thread(
            schedules.create,
            self._world,
            schedule_id,
            starting.resolve(workflow, None),
            input,
            schedule=schedule,
            timezone=timezone,
            overlap=overlap,
            jitter=jitter,
            catch_up=catch_up,
            remaining=remaining,
            paused=paused,
        )
        return record

    async def list_schedules(self, limit: int = 50, cursor: str | None = None) -> SchedulePage:
        """Schedules sorted by id, without their inputs."""
        return await asyncio.to_thread(schedules.list_page, self._world, limit, cursor)

    async def get_schedule(self, schedule_id: str) -> ScheduleRecord:
        """A schedule, with the last run that it started. Raises `ScheduleNotFoundError`."""
        return await asyncio.to_thread(schedules.read, self._world, schedule_id)

    async def update_schedule(
        self,
        schedule_id: str,
        *,
        workflow: Workflow[..., Any] | str | None = None,
        input: Mapping[str, Any] | None = None,
        schedule: str | None = None,
        timezone: str | None = None,
        overlap: Overlap | None = None,
        jitter: Duration | None = None,
        catch_up: Duration | None = None,
        remaining: Remaining | None = None,
        paused: bool | None = None,
    ) -> ScheduleRecord:
        """Changes the given fields; `paused=True` pauses the schedule, and `paused=False` resumes it.
        `jitter=0` removes the jitter, `catch_up=0` the window, and `remaining="unlimited"` the limit.

        Raises `InvalidInputError` for invalid values, and `ScheduleNotFoundError`.
        """
        return await asyncio.to_thread(
            schedules.update,
            self._world,
            schedule_id,
            workflow=workflow,
            input=input,
            schedule=schedule,
            timezone=timezone,
            overlap=overlap,
            jitter=jitter,
            catch_up=catch_up,
            remaining=remaining,
            paused=paused,
        )

    async def trigger_schedule(self, schedule_id: str, *, trigger_id: str | None = None) -> RunHandle[Any]:
        """Starts a run of a schedule now, also if the schedule is paused or another of its runs has not ended.

        trigger_id: up to 40 letters, digits and `_.-`, part of the run's id, `<schedule_id>:trigger-<trigger_id>`:
            called again with the same, it returns a handle on that run. Default: a new id.
        Raises `ScheduleNotFoundError`, and `InvalidInputError` for an invalid `trigger_id`.
        """
        run_id, _ = await asyncio.to_thread(extra_runs.trigger, self._world, schedule_id, trigger_id)
        return RunHandle(self._world, run_id)

    async def backfill_schedule(self, schedule_id: str, start: datetime, end: datetime) -> list[str]:
        """Starts the runs of a schedule's past moments, from `start` until before `end`, next to each other.

        Returns the ids of the runs of all these moments, oldest first. They are those of the runs that the schedule
        starts when it is due, so a moment that has its run gets no other, and the call can be repeated. A rate has no
        moments before the schedule was created.
        Raises `ScheduleNotFoundError`, and `InvalidInputError` for times without a time zone or in the future, and for
        more than 100 moments at once.
        """
        found = await asyncio.to_thread(extra_runs.backfill, self._world, schedule_id, start, end)
        return [run_id for run_id, _ in found]

    async def delete_schedule(self, schedule_id: str) -> None:
        """Deletes a schedule; runs that it started continue. Raises `ScheduleNotFoundError`."""
        await asyncio.to_thread(schedules.delete, self._world, schedule_id)
