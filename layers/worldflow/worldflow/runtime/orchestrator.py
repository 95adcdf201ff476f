"""What applications use, for asyncio: start runs, signal them, await their results."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from worldflow.engine.definitions import Workflow, find_workflow
from worldflow.engine.errors import RunBlockedError, RunCancelledError, RunFailedError, WorkflowNotFoundError
from worldflow.engine.failures import decode_exception
from worldflow.engine.history import Event
from worldflow.runtime import requests
from worldflow.runtime.turns import Turns
from worldflow.worlds.base import RunRecord, World
from worldflow.worlds.messages import Poke

_FIRST_POLL = 0.05
_LONGEST_POLL = 2.0


class RunHandle:
    """One run, from outside."""

    def __init__(self, world: World, run_id: str) -> None:
        self.id = run_id
        self._world = world

    def __repr__(self) -> str:
        return f"<run {self.id}>"

    async def status(self) -> str:
        """`pending running completed failed cancelled continued` or `blocked`. Raises `RunNotFoundError`."""
        return (await self._read()).status

    async def result(self) -> Any:
        """What the workflow returned, once it has; waits for as long as that takes (see `asyncio.timeout`).

        Raises `RunFailedError` with the workflow's exception as its cause, `RunCancelledError`, `RunBlockedError` for a
        run that waits for its code to be mended, and `RunNotFoundError`.
        """
        poll = _FIRST_POLL
        while True:
            record = await self._read()
            if record.ended or record.status == "blocked":
                return outcome(record)
            await self._pause(poll)
            poll = min(poll * 1.5, _LONGEST_POLL)

    async def events(self, after: int = 0) -> list[Event]:
        """The history, from the event behind `after` on."""
        return await self._world.load_events(self.id, after)

    async def signal(self, name: str, value: Any = None, *, signal_id: str | None = None) -> str:
        """Sends a signal; see `Orchestrator.signal`."""
        return await asyncio.to_thread(requests.signal, self._world, self.id, name, value, signal_id=signal_id)

    async def cancel(self, reason: str | None = None) -> None:
        """Asks the run to end; see `Orchestrator.cancel`."""
        await asyncio.to_thread(requests.cancel, self._world, self.id, reason)

    async def _read(self) -> RunRecord:
        return await asyncio.to_thread(self._world.read_run, self.id)

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def outcome(record: RunRecord) -> Any:
    """The result of a run that has ended, by the annotation of its workflow where that is known here; or its error."""
    match record.status:
        case "completed":
            try:
                return find_workflow(record.workflow_name).signature.result.decode(record.result)
            except WorkflowNotFoundError:
                return record.result
        case "failed":
            assert record.error is not None
            error = decode_exception(record.error)
            raise RunFailedError(
                f"run {record.run_id!r} failed: {type(error).__name__}: {error}", record.run_id
            ) from error
        case "blocked":
            raise RunBlockedError(f"run {record.run_id!r} is blocked: {record.blocked_reason}", record.run_id)
        case _:
            raise RunCancelledError(f"run {record.run_id!r} was cancelled", record.run_id)


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
    ) -> RunHandle:
        """Starts a run, and returns a handle on it. The id of a run that exists gives that run, and starts nothing.

        run_id: up to 100 letters, digits and `_.:=@+-`.
        workflow: the function decorated with `@workflow`; or its name, here or as `workflow_name`, where its code is
            not in this process (its input is then only checked when it runs).
        input: its arguments by name.
        Raises `InvalidInputError` for what does not fit, and `RunExistsError` for the id of another workflow's run.
        """
        known = requests.resolve(workflow, workflow_name)
        await asyncio.to_thread(requests.start, self._world, run_id, known, input)
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

    async def advance(self, run_id: str) -> None:
        """Takes a turn of the run here and now, which does again whatever is open. Harmless at any time.

        The process needs the workflow's code, and what it takes to write histories and send step tasks.
        """
        await asyncio.to_thread(self._turns.take, run_id, [Poke(run_id=run_id)])
