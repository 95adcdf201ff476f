"""The pages about schedules, and what can be done about one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from worldflow.console.acting import Asked
from worldflow.console.base import Pages, errors_of, in_thread
from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.runtime import extra_runs
from worldflow.runtime import schedules as schedules_of
from worldflow.worlds.base import World
from worldflow.worlds.schedule_records import ScheduleRecord


@dataclass(frozen=True, slots=True)
class Listed:
    schedules: Sequence[tuple[ScheduleRecord, Any]]
    cursor: str | None


class SchedulePages(Pages):
    async def schedules(self, request: Request) -> Response:
        cursor = request.query_params.get("cursor")
        found = await in_thread(_list, self.world, cursor)
        return self.page(request, "schedules.html", found=found)

    async def schedule(self, request: Request) -> Response:
        return await self._schedule(request, request.path_params["schedule_id"])

    async def act_on_schedule(self, request: Request) -> Response:
        asked = await self.asked(request)
        schedule_id, action = request.path_params["schedule_id"], request.path_params["action"]
        said = await in_thread(_act, self.world, schedule_id, action, asked.id)
        return self.redirect(request, "schedules", said)

    async def backfill(self, request: Request) -> Response:
        """Shows which runs a backfill would start; when that is confirmed, starts them."""
        asked = await self.asked(request)
        schedule_id = request.path_params["schedule_id"]
        try:
            record = await in_thread(schedules_of.get, self.world, schedule_id)
            times = _time(asked, "start", record), _time(asked, "end", record)
            if asked.text("confirmed"):
                found = await in_thread(extra_runs.backfill, self.world, schedule_id, *times)
                new = sum(is_new for _, is_new in found)
                said = f"Started {new} runs; {len(found) - new} already existed."
                return self.redirect(request, "schedule", said, schedule_id=schedule_id)
            planned = await in_thread(extra_runs.preview, self.world, schedule_id, *times)
        except InvalidInputError as error:
            return await self._schedule(request, schedule_id, asked, errors_of(error))
        new = sum(is_new for _, is_new in planned)
        return self.page(request, "backfill.html", one=record, planned=planned, new=new, times=times)

    async def _schedule(
        self, request: Request, schedule_id: str, asked: Asked | None = None, left: Sequence[FieldError] = ()
    ) -> Response:
        record = await in_thread(schedules_of.read, self.world, schedule_id)
        given = {name: asked.text(name) if asked else "" for name in ("start", "end")}
        due, status = record.next_due(self.world.now()), 422 if left else 200
        return self.page(request, "schedule.html", status, one=record, due=due, given=given, left=left)


def _list(world: World, cursor: str | None) -> Listed:
    page = schedules_of.list_page(world, 50, cursor)
    now = world.now()
    return Listed([(record, record.next_due(now)) for record in page.schedules], page.cursor)


def _act(world: World, schedule_id: str, action: str, asked_id: str) -> str:
    """Triggers, pauses, resumes or deletes a schedule. Returns what it did."""
    match action:
        case "pause" | "resume":
            schedules_of.update(world, schedule_id, paused=action == "pause")
            return f"Schedule {schedule_id} is {'paused' if action == 'pause' else 'active'}."
        case "trigger":
            run_id, _ = extra_runs.trigger(world, schedule_id, asked_id)
            return f"Started run {run_id}."
        case "delete":
            schedules_of.delete(world, schedule_id)
            return f"Deleted schedule {schedule_id}. Runs that it started continue."
    raise InvalidInputError(f"there is no action {action!r}", [FieldError("action", "no such action")])


def _time(asked: Asked, name: str, record: ScheduleRecord) -> datetime:
    """A time of a form: on the clocks of the schedule's time zone, unless it has an offset."""
    try:
        given = datetime.fromisoformat(asked.text(name))
    except ValueError:
        raise InvalidInputError("a backfill needs two times", [FieldError(name, "must be a time")]) from None
    return given if given.tzinfo else given.replace(tzinfo=ZoneInfo(record.timezone))
