"""What applications use: start runs, signal them, await their results."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack

from typing_extensions import TypeForm

from worldflow.engine.durations import Duration
from worldflow.engine.ids import generation
from worldflow.engine.workflow.definitions import Workflow
from worldflow.engine.workflow.entities import Entity
from worldflow.runtime import entities, sending, starting, streams, updates, webhooks
from worldflow.runtime.edits import Edit
from worldflow.runtime.limit_calls import LimitCalls
from worldflow.runtime.run_handle import RunHandle, SyncRunHandle, T, V, waiting_for_run
from worldflow.runtime.schedule_calls import ScheduleCalls
from worldflow.runtime.synchronous import Synchronous, waiting
from worldflow.runtime.update_handle import answer_to
from worldflow.runtime.workflow_calls import WorkflowCalls
from worldflow.turns.turns import Turns
from worldflow.worlds.base import World
from worldflow.worlds.messages import Poke
from worldflow.worlds.records import HookRecord, RunPage
from worldflow.worlds.streams import StreamPage

if TYPE_CHECKING:
    from worldflow.worlds.filters import Filters

E = TypeVar("E", bound=Entity)
P = ParamSpec("P")


class Orchestrator(ScheduleCalls, LimitCalls, WorkflowCalls):
    """Starts, signals, cancels and advances runs in one World."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._turns = Turns(world)

    @property
    def sync(self) -> SyncOrchestrator:
        """The same calls for code without asyncio, from any thread: they wait, and return `SyncRunHandle`s.

        In a process that forks, such as gunicorn's, open the World after the fork.
        """
        return SyncOrchestrator(self)

    async def start_workflow(
        self,
        run_id: str,
        workflow: Workflow[..., T] | str | None = None,
        input: Mapping[str, Any] | None = None,
        workflow_name: str | None = None,
        *,
        if_running: starting.IfRunning = "return_existing",
        reuse: starting.Reuse | None = None,
        delay: Duration | None = None,
        start_at: datetime | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> RunHandle[T]:
        """Starts a run and returns a handle on it. By default, if a run with this id exists, returns a handle on that.

        run_id: up to 100 letters, digits and `_.:=@+-`.
        workflow: the function decorated with `@workflow`; or its name, here or as `workflow_name`, if its code is not
            in this process (its input is then validated only when it runs).
        input: its arguments by name, as a mapping or as the workflow's own `input(...)` makes them of a typed call.
        if_running: what to do if a run with this id has not ended: `return_existing` (default), `fail` with
            `RunExistsError`, or `terminate_existing` and start a new run in its place.
        reuse: what to do if a run with this id has ended: `allow` starts a new run, `failed_only` does so only if it
            failed or was cancelled, and otherwise raises `RunExistsError`, as `reject` always does. Default: None,
            returns a handle on that run. The new run is the next generation of the id.
        delay: a duration that the run waits before it begins. It is `pending` until then, and signals are kept for it.
        start_at: the time at which it begins, in place of a delay.
        headers: text by name that interceptors read, also around all steps and children; up to 2 KB.
        If the workflow has a `debounce` or a `batch`, the handle is on the run that this start has become part of.
        Raises `InvalidInputError` for invalid arguments, and `RunExistsError` for the id of another workflow's run.
        """
        known = starting.resolve(workflow, workflow_name, run_id)
        begin = functools.partial(
            starting.start, self._world, if_running=if_running, reuse=reuse, delay=delay, start_at=start_at
        )
        record, _ = await asyncio.to_thread(begin, run_id, known, input, headers=headers)
        return self.run(generation(record.run_id)[0])

    async def signal_with_start(
        self,
        run_id: str,
        workflow: Workflow[..., T] | str,
        input: Mapping[str, Any] | None = None,
        *,
        signal: str,
        value: Any = None,
        signal_id: str | None = None,
    ) -> RunHandle[T]:
        """Sends a signal to a run. Starts the run first if none with this id exists, or if the last one has ended.

        If the run ends before it receives the signal, a new run is started for the signal.
        """
        known = starting.resolve(workflow, None, run_id)
        send = functools.partial(starting.signal_with_start, name=signal, value=value, signal_id=signal_id)
        await asyncio.to_thread(send, self._world, run_id, known, input)
        return self.run(run_id)

    async def update_with_start(
        self,
        run_id: str,
        workflow: Workflow[..., Any] | str,
        input: Mapping[str, Any] | None = None,
        *,
        update: str,
        args: Sequence[Any] = (),
        type: TypeForm[V] = Any,
        update_id: str | None = None,
        timeout: Duration | None = None,
    ) -> V:
        """Sends an update to a run and returns the answer. Starts the run first if none with this id exists, or if the
        last one has ended.

        If the run ends before it receives the update, a new run is started for the update.

        update, args: the name of the update, and its arguments.
        update_id: identifies the update: sent twice with the same id, it runs once, also if the run has ended since.
        Otherwise as `start_workflow` and `RunHandle.update`.
        """
        known = starting.resolve(workflow, None)
        send = functools.partial(updates.update_with_start, name=update, args=args, update_id=update_id)
        sent = await asyncio.to_thread(send, self._world, run_id, known, input)
        return await answer_to(self.run(run_id), sent, update, type, timeout)

    def run(self, run_id: str) -> RunHandle[Any]:
        """A handle on a run, which may or may not exist."""
        return RunHandle(self._world, run_id)

    def entity(self, entity: type[E], key: str) -> E:
        """The entity of a class and a key: `await orchestrator.entity(Account, "alice").deposit(5)`."""
        made = entity(key)
        return entities.reference(self.run(made._run_id), entity, key)

    async def read_stream(self, run_id: str, name: str, *, after: int = 0, wait: float = 0) -> StreamPage:
        """A page of a stream of a run: `items`, the `after` of the `next` page, and whether the stream has `ended`.

        `run.stream(name)` follows a stream. This is for servers that answer requests.

        after: the offset of the last item that was read.
        wait: seconds to wait at most for a first item.
        Raises `RunNotFoundError`.
        """
        return await streams.read_page(self._world, run_id, name, after, wait)

    async def list_runs(self, *, limit: int = 50, cursor: str | None = None, **filters: Unpack[Filters]) -> RunPage:
        """Records of runs that match all that is given, newest first: `status`, `workflow`, `attributes`,
        `started_after`, `started_before`, `ended_after`, `ended_before`, `id_prefix`, `parent` and `status_text`.

        See `World.list_runs`.
        """
        look = functools.partial(self._world.list_runs, limit=limit, cursor=cursor)
        return await asyncio.to_thread(look, **filters)

    async def count_runs(self, *, at_most: int | None = None, **filters: Unpack[Filters]) -> int:
        """How many runs match, with the filters of `list_runs`. On AWS this reads all that a list of them would.

        at_most: no more than this number are counted. Default: all.
        """
        count = functools.partial(self._world.count_runs, at_most=at_most)
        return await asyncio.to_thread(count, **filters)

    async def signal(self, run_id: str, name: str, value: Any = None, *, signal_id: str | None = None) -> str:
        """Sends a signal to a run, and returns the signal's id.

        signal_id: identifies the signal: sent twice with the same id, it is delivered once. Default: a new id.
        Raises `RunNotFoundError`, `RunEndedError`, `SerializationError`, and `InvalidInputError` for an invalid name.
        """
        return await self.run(run_id).signal(name, value, signal_id=signal_id)

    async def cancel(self, run_id: str, reason: str | None = None) -> None:
        """Cancels a run: its workflow gets `asyncio.CancelledError` where it waits.

        Raises `RunNotFoundError` and `RunEndedError`.
        """
        await self.run(run_id).cancel(reason)

    async def terminate(self, run_id: str, reason: str | None = None) -> None:
        """Ends a run immediately, as `cancelled`: its workflow is not notified, so it cleans up and undoes nothing.

        Raises `RunNotFoundError` and `RunEndedError`.
        """
        await self.run(run_id).terminate(reason)

    async def pause(self, run_id: str, reason: str | None = None, *, by: str | None = None) -> None:
        """Pauses a run: its workflow's code does not run and no step of it begins until `unpause`.

        Steps that are running finish, and what comes meanwhile is kept, in order. Children continue. `cancel` ends the
        pause, so that the workflow can clean up; `terminate` works as ever.

        reason, by: why, and who asks for it, as `RunRecord.paused` shows.
        Raises `RunNotFoundError` and `RunEndedError`.
        """
        await self.run(run_id).pause(reason, by=by)

    async def unpause(self, run_id: str) -> None:
        """Lets a paused run continue. Timers that fell due meanwhile fire at once. Raises as `pause` does."""
        await self.run(run_id).unpause()

    async def wake(self, run_id: str, timer: str | None = None) -> int:
        """Ends the sleeps of a run now, and returns how many it ends. Calling it twice does no harm.

        timer: the id of one timer, as the history has it (`t3`), which may also be that of a timeout. Default: all
            sleeps, and no timeouts.
        Raises `RunNotFoundError`, `RunEndedError`, and `InvalidInputError` for a timer that the run has not started.
        """
        return await self.run(run_id).wake(timer)

    async def update(
        self,
        run_id: str,
        name: str,
        *args: Any,
        type: TypeForm[V] = Any,
        update_id: str | None = None,
        timeout: Duration | None = None,
    ) -> V:
        """Sends an update to a run and waits for the answer; see `RunHandle.update`."""
        return await self.run(run_id).update(name, *args, type=type, update_id=update_id, timeout=timeout)

    async def query(self, run_id: str, name: str, /, type: TypeForm[V] = Any, **arguments: Any) -> V:
        """Returns a value that a run's workflow publishes; see `RunHandle.query`."""
        return await self.run(run_id).query(name, type, **arguments)

    async def retry(self, run_id: str, *, input: Mapping[str, Any] | None = None) -> RunHandle[Any]:
        """Continues a failed run from the point of failure, as the next generation of its id.

        If a step failed, it gets all its attempts again; what the workflow did in response to the failure is dropped
        from the history, but not undone. If the workflow's own code failed, the event that it was handling is applied
        again, to the current code. Raises `RunNotFoundError`, and `InvalidInputError` for a run that has not failed.

        input: arguments of the workflow to replace, by name; the others stay. The run then starts from the beginning:
            nothing of the history is kept.
        """
        return await self.run(run_id).retry(input=input)

    async def fork(
        self, run_id: str, new_run_id: str, *, after: int | None = None, edit: Edit | None = None
    ) -> RunHandle[Any]:
        """Starts a run that continues from another run's history, up to event `after` and the decisions made with it.

        Steps that were open at that point run again here.

        after: the number of an event. Default: the last one that is edited.
        edit: data to replace in that history, by the numbers of its events: `{7: "sunny"}` for the result of a step or
            child, a signal, an update's arguments, or a hook's value, and `{5: {"city": "Oslo"}}` for arguments, by
            name, of a step or child that is open at that point, or of the run (1, or `"input"`).
        Raises `RunNotFoundError`, `RunExistsError`, and `InvalidInputError` if there is no such event before the end of
        the run, or for an edit that is not possible.
        """
        return await self.run(run_id).fork(new_run_id, after=after, edit=edit)

    async def resume(self, run_id: str) -> None:
        """Requests a turn of a run, such as of a blocked run after its code is fixed.

        Raises `RunNotFoundError` and `RunEndedError`.
        """
        await asyncio.to_thread(sending.resume, self._world, run_id)

    async def get_hook(self, token: str) -> HookRecord:
        """The run that holds a hook's token, and the hook's metadata. Raises `HookNotFoundError`."""
        return await asyncio.to_thread(webhooks.get_hook, self._world, token)

    async def resume_hook(self, token: str, value: Any = None, *, resume_id: str | None = None) -> HookRecord:
        """Sends a value to the hook with this token. Returns the record of the hook, which names its run.

        resume_id: identifies the value: sent twice with the same id, it is delivered once. Default: a new id.
        Raises `HookNotFoundError` and `SerializationError`.
        """
        send = functools.partial(webhooks.resume_hook, self._world, token, value, resume_id=resume_id)
        return await asyncio.to_thread(send)

    async def fail_hook(self, token: str, error: str | Exception, *, resume_id: str | None = None) -> HookRecord:
        """Sends a failure to the hook with this token, for a sender that has no value. Returns the record of the hook.

        error: what awaiting the hook raises: an exception, as a step's would be raised, or text for a
            `HookFailedError`.
        resume_id: identifies the failure: sent twice with the same id, it is delivered once. Default: a new id.
        Raises `HookNotFoundError`.
        """
        fail = functools.partial(webhooks.fail_hook, self._world, token, error, resume_id=resume_id)
        return await asyncio.to_thread(fail)

    async def heartbeat_hook(self, token: str) -> HookRecord:
        """Reports that a value is still to come, for a hook with a `heartbeat_timeout`. One write; the workflow does
        not run. Returns the record of the hook.

        Raises `HookNotFoundError`.
        """
        return await asyncio.to_thread(webhooks.heartbeat_hook, self._world, token)

    async def advance(self, run_id: str) -> None:
        """Takes a turn of the run in this process, and repeats requests that are still open. Safe at any time.

        The process needs the workflow's code, and permissions to write histories and send step tasks.
        """
        await asyncio.to_thread(self._turns.take, run_id, [Poke(run_id=run_id)])


class SyncOrchestrator(Synchronous[Orchestrator]):
    """An `Orchestrator` for code without asyncio: its calls, and those of its handles, wait."""

    start_workflow = waiting_for_run(Orchestrator.start_workflow)
    signal_with_start = waiting_for_run(Orchestrator.signal_with_start)
    retry = waiting_for_run(Orchestrator.retry)
    fork = waiting_for_run(Orchestrator.fork)
    trigger_schedule = waiting_for_run(Orchestrator.trigger_schedule)

    def run(self, run_id: str) -> SyncRunHandle[Any]:
        """A handle on a run, which may or may not exist."""
        return SyncRunHandle(self._asynchronous.run(run_id))

    def update(
        self,
        run_id: str,
        name: str,
        *args: Any,
        type: TypeForm[V] = Any,
        update_id: str | None = None,
        timeout: Duration | None = None,
    ) -> V:
        """Sends an update to a run and waits for the answer; see `RunHandle.update`."""
        return self.run(run_id).update(name, *args, type=type, update_id=update_id, timeout=timeout)

    def query(self, run_id: str, name: str, /, type: TypeForm[V] = Any, **arguments: Any) -> V:
        """Returns a value that a run's workflow publishes; see `RunHandle.query`."""
        return self.run(run_id).query(name, type, **arguments)

    signal = waiting(Orchestrator.signal)
    update_with_start = waiting(Orchestrator.update_with_start)
    cancel = waiting(Orchestrator.cancel)
    terminate = waiting(Orchestrator.terminate)
    wake = waiting(Orchestrator.wake)
    pause = waiting(Orchestrator.pause)
    unpause = waiting(Orchestrator.unpause)
    list_runs = waiting(Orchestrator.list_runs)
    count_runs = waiting(Orchestrator.count_runs)
    resume = waiting(Orchestrator.resume)
    advance = waiting(Orchestrator.advance)
    read_stream = waiting(Orchestrator.read_stream)
    get_hook = waiting(Orchestrator.get_hook)
    resume_hook = waiting(Orchestrator.resume_hook)
    fail_hook = waiting(Orchestrator.fail_hook)
    heartbeat_hook = waiting(Orchestrator.heartbeat_hook)
    create_schedule = waiting(Orchestrator.create_schedule)
    list_schedules = waiting(Orchestrator.list_schedules)
    get_schedule = waiting(Orchestrator.get_schedule)
    update_schedule = waiting(Orchestrator.update_schedule)
    backfill_schedule = waiting(Orchestrator.backfill_schedule)
    delete_schedule = waiting(Orchestrator.delete_schedule)
    list_limits = waiting(Orchestrator.list_limits)
    get_limit = waiting(Orchestrator.get_limit)
    set_limit = waiting(Orchestrator.set_limit)
    pause_workflow = waiting(Orchestrator.pause_workflow)
    unpause_workflow = waiting(Orchestrator.unpause_workflow)
    paused_workflows = waiting(Orchestrator.paused_workflows)
