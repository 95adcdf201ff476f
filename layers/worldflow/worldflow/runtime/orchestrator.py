"""What applications use, for asyncio: start runs, signal them, await their results."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

from pydantic import ValidationError

from worldflow.engine.durations import Duration, seconds, spoken
from worldflow.engine.errors import (
    RunBlockedError,
    RunCancelledError,
    RunFailedError,
    SerializationError,
    WorkflowNotFoundError,
)
from worldflow.engine.history import Event
from worldflow.engine.history.failures import decode_exception
from worldflow.engine.values.serialization import explain
from worldflow.engine.workflow.definitions import Workflow, find_workflow, oldest_version
from worldflow.runtime import queries, schedules, sending, starting, updates, webhooks
from worldflow.turns import generations
from worldflow.turns.turns import Turns
from worldflow.worlds.base import World
from worldflow.worlds.messages import Poke
from worldflow.worlds.records import HookRecord, RunRecord
from worldflow.worlds.schedules import Overlap, SchedulePage, ScheduleRecord

_FIRST_POLL = 0.05
_LONGEST_POLL = 2.0


class RunHandle:
    """One run, from outside."""

    def __init__(self, world: World, run_id: str) -> None:
        self.id = run_id
        self._world = world
        self._changed: Callable[[float], Awaitable[None]] = asyncio.sleep

    def __repr__(self) -> str:
        return f"<run {self.id}>"

    async def status(self) -> str:
        """`pending running completed failed cancelled continued` or `blocked`: of the newest generation.

        Raises `RunNotFoundError`.
        """
        return (await self._newest()).status

    async def result(self, timeout: Duration | None = None) -> Any:
        """What the workflow returned, once it has; of the newest generation, where others follow the run under its id.

        timeout: how long to wait at most, after which it raises `TimeoutError`; without limit unless given.
        Raises `RunFailedError` with the workflow's exception as its cause, `RunCancelledError`, `RunBlockedError` for a
        run that waits for its code to be mended, and `RunNotFoundError`.
        """
        record: RunRecord | None = None

        def problem(limit: str) -> str:
            said = f" ({record.status_text})" if record and record.status_text else ""
            now = f": it is still {record.status}{said}" if record else ""
            return f"run {self.id!r} has not ended within {limit}{now}"

        async with self._within(timeout, problem):
            polls = _polls()
            with self._world.changes(self.id) as self._changed:
                while True:
                    record = await self._newest()
                    if record.ended or record.status == "blocked":
                        return outcome(record)
                    await self._pause(next(polls))

    async def events(self, after: int = 0) -> list[Event]:
        """The history of this generation, from the event behind `after` on."""
        return await self._world.load_events(self.id, after)

    async def signal(self, name: str, value: Any = None, *, signal_id: str | None = None) -> str:
        """Sends a signal; see `Orchestrator.signal`."""
        return await asyncio.to_thread(sending.signal, self._world, self.id, name, value, signal_id=signal_id)

    async def update(self, name: str, *args: Any, update_id: str | None = None, timeout: Duration | None = None) -> Any:
        """Calls the handler that the workflow has for updates of this name (`@on_update`), and returns its answer.

        update_id: identifies the update, so that one that is sent twice is done once and gets one answer.
        timeout: how long to wait for the answer; the update stays, and may be asked after with its id.
        Raises what the handler raises, `InvalidInputError` for arguments that do not fit it, `RunEndedError` if the run
        ends without an answer, `RunNotFoundError`, and `TimeoutError`.
        """
        send = functools.partial(updates.send_update, self._world, self.id, name, args, update_id=update_id)
        update = await asyncio.to_thread(send)

        def problem(limit: str) -> str:
            again = f"; retry with update_id={update.fact_id.removeprefix('update/')!r} to get the answer"
            return f"run {self.id!r} has not answered the update {name!r} within {limit}{again}"

        async with self._within(timeout, problem):
            polls = _polls()
            while (reply := await asyncio.to_thread(updates.look_for_answer, self._world, update)) is None:
                await self._pause(next(polls))
        return updates.answer(reply)

    async def query(self, name: str) -> Any:
        """What the workflow has published under this name, as JSON. Nothing is written, and no turn is taken.

        Replays the history in this process, which takes the workflow's code. Raises `QueryNotFoundError`.
        """
        return await asyncio.to_thread(queries.query, self._world, self.id, name)

    async def cancel(self, reason: str | None = None) -> None:
        """Asks the run to end; see `Orchestrator.cancel`."""
        await asyncio.to_thread(sending.cancel, self._world, self.id, reason)

    async def terminate(self, reason: str | None = None) -> None:
        """Ends the run at once; see `Orchestrator.terminate`."""
        await asyncio.to_thread(sending.terminate, self._world, self.id, reason)

    async def retry(self) -> Self:
        """Lets a run that failed go on, and returns this handle; see `Orchestrator.retry`."""
        await asyncio.to_thread(starting.retry, self._world, self.id)
        return self

    async def _newest(self) -> RunRecord:
        """The record of the newest generation, with its data."""

        def read() -> RunRecord:
            record = self._world.read_run(self.id)
            newest = generations.newest_generation(self._world, record)
            return record if newest.run_id == record.run_id else self._world.read_run(newest.run_id)

        return await asyncio.to_thread(read)

    @asynccontextmanager
    async def _within(self, timeout: Duration | None, problem: Callable[[str], str]) -> AsyncIterator[None]:
        """A limit of time, if there is one, and what to say when it is over."""
        limit = None if timeout is None else seconds(timeout)
        try:
            async with asyncio.timeout(limit) as scope:
                yield
        except TimeoutError:
            if limit is None or not scope.expired():
                raise
            raise TimeoutError(problem(spoken(limit))) from None

    async def _pause(self, seconds: float) -> None:
        await self._changed(seconds)


def _polls() -> Iterator[float]:
    """Seconds between two looks at a run, which grow."""
    poll = _FIRST_POLL
    while True:
        yield poll
        poll = min(poll * 1.5, _LONGEST_POLL)


def outcome(record: RunRecord) -> Any:
    """The result of a run that has ended, by the annotation of its own version of the workflow where that is known
    here, and as the JSON that it is elsewhere; or its error. Raises `SerializationError` for a result that does not fit
    the annotation any more.
    """
    match record.status:
        case "completed":
            version = oldest_version(record.workflow_name) if record.version is None else record.version
            try:
                codec = find_workflow(record.workflow_name, version).signature.result
            except WorkflowNotFoundError:
                return record.result
            try:
                return codec.decode(record.result)
            except ValidationError as misfit:
                problem = f"the recorded result no longer matches the annotation: {explain(misfit, 'result')}"
                raise SerializationError(problem, codec.where) from None
        case "failed":
            assert record.error is not None
            error = decode_exception(record.error)
            raise RunFailedError(
                f"run {record.run_id!r} failed: {type(error).__name__}: {error}", record.run_id
            ) from error
        case "blocked":
            raise RunBlockedError(f"run {record.run_id!r} is blocked: {record.blocked_reason}", record.run_id)
        case _:
            because = f": {record.reason}" if record.reason else ""
            raise RunCancelledError(f"run {record.run_id!r} was cancelled{because}", record.run_id)


class Orchestrator:
    """Starts, signals, cancels and advances runs of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._turns = Turns(world)

    async def start_workflow(
        self,
        run_id: str,
        workflow: Workflow[..., Any] | str | None = None,
        input: Mapping[str, Any] | None = None,
        workflow_name: str | None = None,
        *,
        if_running: starting.IfRunning = "return_existing",
        reuse: starting.Reuse | None = None,
    ) -> RunHandle:
        """Starts a run, and returns a handle on it. The id of a run that exists gives that run, and starts nothing.

        run_id: up to 100 letters, digits and `_.:=@+-`.
        workflow: the function decorated with `@workflow`; or its name, here or as `workflow_name`, where its code is
            not in this process (its input is then only checked when it runs).
        input: its arguments by name.
        if_running: what else a run of this id that has not ended means: `fail` raises `RunExistsError`, and
            `terminate_existing` puts a new one in its place.
        reuse: what else one that has ended means: a new one is started (`allow`), or only where it failed or was
            cancelled (`failed_only`), or `RunExistsError` (`reject`). A new one is the next generation of the id.
        Raises `InvalidInputError` for what does not fit, and `RunExistsError` for the id of another workflow's run.
        """
        known = starting.resolve(workflow, workflow_name)
        begin = functools.partial(starting.start, self._world, if_running=if_running, reuse=reuse)
        await asyncio.to_thread(begin, run_id, known, input)
        return self.run(run_id)

    async def signal_with_start(
        self,
        run_id: str,
        workflow: Workflow[..., Any] | str,
        input: Mapping[str, Any] | None = None,
        *,
        signal: str,
        value: Any = None,
        signal_id: str | None = None,
    ) -> RunHandle:
        """Sends a signal to a run, which is started first if there is none of this id, or if the last has ended.

        A run that ends before the signal comes to it is followed by one that is started for the signal.
        """
        known = starting.resolve(workflow, None)
        send = functools.partial(starting.signal_with_start, name=signal, value=value, signal_id=signal_id)
        await asyncio.to_thread(send, self._world, run_id, known, input)
        return self.run(run_id)

    def run(self, run_id: str) -> RunHandle:
        """A handle on a run, which may or may not exist."""
        return RunHandle(self._world, run_id)

    async def signal(self, run_id: str, name: str, value: Any = None, *, signal_id: str | None = None) -> str:
        """Sends a signal to a run, and returns the signal's id.

        signal_id: identifies the signal, so that sending it twice delivers it once; a new one unless given.
        Raises `RunNotFoundError`, `RunEndedError`, `SerializationError`, and `InvalidInputError` for a bad name.
        """
        return await self.run(run_id).signal(name, value, signal_id=signal_id)

    async def cancel(self, run_id: str, reason: str | None = None) -> None:
        """Asks a run to end: its workflow sees `asyncio.CancelledError` where it waits.

        Raises `RunNotFoundError` and `RunEndedError`.
        """
        await self.run(run_id).cancel(reason)

    async def terminate(self, run_id: str, reason: str | None = None) -> None:
        """Ends a run at once, as `cancelled`: its workflow learns nothing of it, and undoes nothing.

        Raises `RunNotFoundError` and `RunEndedError`.
        """
        await self.run(run_id).terminate(reason)

    async def update(
        self, run_id: str, name: str, *args: Any, update_id: str | None = None, timeout: Duration | None = None
    ) -> Any:
        """Asks a run's workflow for an answer; see `RunHandle.update`."""
        return await self.run(run_id).update(name, *args, update_id=update_id, timeout=timeout)

    async def query(self, run_id: str, name: str) -> Any:
        """Looks at what a run's workflow has published; see `RunHandle.query`."""
        return await self.run(run_id).query(name)

    async def retry(self, run_id: str) -> RunHandle:
        """Lets a run that failed go on from what it failed of, as the next generation of its id.

        A step that failed is tried again, with all its attempts; what the workflow did in answer to the failure is
        forgotten, though not undone. Where the workflow's own code failed, the last thing that it learned is held until
        this turn, and given to the code as it is now. Raises `RunNotFoundError`, and `InvalidInputError` for a run that
        has not failed.
        """
        return await self.run(run_id).retry()

    async def fork(self, run_id: str, new_run_id: str, *, after: int) -> RunHandle:
        """Starts a run that goes on from another's history, up to event `after` and what was decided with it.

        Steps that were open there run again here. Raises `RunNotFoundError`, `RunExistsError`, and `InvalidInputError`
        where there is no such event before the end.
        """
        await asyncio.to_thread(functools.partial(starting.fork, self._world, run_id, new_run_id, after=after))
        return self.run(new_run_id)

    async def resume(self, run_id: str) -> None:
        """Asks for a turn of a run, such as of one that is blocked, when its code is mended.

        Raises `RunNotFoundError` and `RunEndedError`.
        """
        await asyncio.to_thread(sending.resume, self._world, run_id)

    async def get_hook(self, token: str) -> HookRecord:
        """Who holds a hook's token, with the hook's metadata. Raises `HookNotFoundError`."""
        return await asyncio.to_thread(webhooks.get_hook, self._world, token)

    async def resume_hook(self, token: str, value: Any = None, *, resume_id: str | None = None) -> HookRecord:
        """Sends a value to the hook of this token. Returns who holds it.

        resume_id: identifies the value, so that sending it twice delivers it once; a new one unless given.
        Raises `HookNotFoundError` and `SerializationError`.
        """
        send = functools.partial(webhooks.resume_hook, self._world, token, value, resume_id=resume_id)
        return await asyncio.to_thread(send)

    async def advance(self, run_id: str) -> None:
        """Takes a turn of the run here and now, which does again whatever is open. Harmless at any time.

        The process needs the workflow's code, and what it takes to write histories and send step tasks.
        """
        await asyncio.to_thread(self._turns.take, run_id, [Poke(run_id=run_id)])

    # --- schedules ---

    async def create_schedule(
        self,
        schedule_id: str,
        workflow: Workflow[..., Any] | str,
        input: Mapping[str, Any] | None = None,
        *,
        schedule: str,
        timezone: str = "UTC",
        overlap: Overlap = "skip",
        paused: bool = False,
    ) -> ScheduleRecord:
        """Creates a schedule, which starts a run again and again: `<schedule_id>:20261122T080000Z`, by when it was due.

        schedule_id: up to 50 letters, digits and `_.-`. Where the very same schedule exists, nothing happens.
        workflow, input: as for `start_workflow`.
        schedule: `cron(0 8 ? * MON-FRI *)` or `rate(5 minutes)`, as EventBridge Scheduler has them. A rate counts from
            now, and is due first when its interval has passed.
        timezone: of a cron expression, such as `Europe/Berlin`.
        overlap: what to do when it is due and the run before has not ended: `skip` it, or `allow` both.
        Raises `InvalidInputError` for what does not fit, and `ScheduleExistsError` for the id of another schedule.
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
            paused=paused,
        )
        return record

    async def list_schedules(self, limit: int = 50, cursor: str | None = None) -> SchedulePage:
        """Schedules in the order of their ids, without their inputs."""
        return await asyncio.to_thread(schedules.list_page, self._world, limit, cursor)

    async def get_schedule(self, schedule_id: str) -> ScheduleRecord:
        """A schedule, with the run that it started last. Raises `ScheduleNotFoundError`."""
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
        paused: bool | None = None,
    ) -> ScheduleRecord:
        """Changes the fields that are given; `paused=True` stops it from being due, and `paused=False` goes on.

        Raises `InvalidInputError` for what does not fit, and `ScheduleNotFoundError`.
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
            paused=paused,
        )

    async def delete_schedule(self, schedule_id: str) -> None:
        """Deletes a schedule; runs that it started go on. Raises `ScheduleNotFoundError`."""
        await asyncio.to_thread(schedules.delete, self._world, schedule_id)
