"""The tools that change something. The server has them only with `--allow-writes`."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from pydantic import Field

from worldflow.engine.errors import WorkflowNotFoundError
from worldflow.engine.workflow.definitions import Workflow
from worldflow.engine.workflow.ramps import workflow_for
from worldflow.mcp import answers
from worldflow.mcp.reading import RunId
from worldflow.mcp.showing import Showing
from worldflow.runtime import sending, starting, webhooks
from worldflow.runtime.run_handle import RunHandle
from worldflow.worlds import World

PATIENCE = 60
"""The most seconds that a tool waits."""

Value = Annotated[Any, Field(description="Any JSON value.")]
MessageId = Annotated[
    str | None,
    Field(description="Identifies this request: repeated with the same id, it has no second effect. Default: new."),
]


class Acting:
    """The tools that start runs and send them something. Each method is a tool."""

    def __init__(self, world: World, shown: Showing) -> None:
        self._world = world
        self._shown = shown

    def start_run(
        self,
        workflow: Annotated[str, Field(description="The workflow's name.")],
        input: Annotated[
            dict[str, Any] | None, Field(description="Arguments by name; list_workflows has the schema.")
        ] = None,
        run_id: Annotated[
            str | None,
            Field(description="Id of the run, which says what it is about: `order-17`. Default: a new id."),
        ] = None,
    ) -> answers.Started:
        """Start a run of a workflow. If a run with this id exists, nothing is started and that run is returned."""
        new_id = run_id or f"{workflow}-{uuid.uuid4().hex[:12]}"
        try:
            known: Workflow[..., Any] | str = workflow_for(workflow, new_id)
        except WorkflowNotFoundError:
            known = workflow  # its input is checked when it runs
        arguments = input or {}
        if isinstance(known, Workflow):
            arguments = known.signature.parse(arguments)
        record, created = starting.start(self._world, new_id, known, arguments)
        return answers.Started(
            run_id=record.run_id,
            workflow=record.workflow_name,
            status="pending" if created else record.status,
            created=created,
        )

    def send_signal(
        self,
        run_id: RunId,
        name: Annotated[str, Field(description="The signal's name, as the workflow waits for it.")],
        value: Value = None,
        signal_id: MessageId = None,
    ) -> answers.Sent:
        """Send a signal to a run that has not ended, such as an approval. Check with explain_run what it waits for.

        Decisions that people must take, such as approving a payment, are theirs: ask them before you send one.
        """
        return answers.Sent(run_id=run_id, id=sending.signal(self._world, run_id, name, value, signal_id=signal_id))

    def resume_hook(
        self,
        token: Annotated[str, Field(description="The hook's token; read_history shows it in HookCreated.")],
        value: Value = None,
        resume_id: MessageId = None,
    ) -> answers.Sent:
        """Send a value to the run that holds a hook. Ask the user first where a person is meant to decide."""
        resume_id = resume_id or uuid.uuid4().hex
        held = webhooks.resume_hook(self._world, token, value, resume_id=resume_id)
        return answers.Sent(run_id=held.run_id, id=resume_id)

    async def send_update(
        self,
        run_id: RunId,
        name: Annotated[str, Field(description="The update's name, as the workflow's handler has it.")],
        args: Annotated[list[Any] | None, Field(description="The handler's arguments, in order.")] = None,
        update_id: MessageId = None,
        timeout: Annotated[int, Field(ge=1, le=PATIENCE, description="Seconds to wait for the answer.")] = 30,
    ) -> answers.Replied:
        """Send an update to a run and wait for its handler's answer. After a timeout the update stays pending: send it
        again with the update_id that the error names.
        """
        call = RunHandle(self._world, run_id).update(name, *(args or ()), update_id=update_id, timeout=timeout)
        return answers.Replied(reply=self._shown.value(await call, "unavailable: ask for less"))

    def retry_run(
        self,
        run_id: RunId,
        input: Annotated[
            dict[str, Any] | None,
            Field(description="Arguments by name in place of those of the run, which then starts from the beginning."),
        ] = None,
    ) -> answers.Started:
        """Retry a failed run from the point of failure, as the next generation of its id. Completed steps don't run
        again. Fix the cause first: a retry with the same code and the same world fails again.
        """
        return _started(starting.retry(self._world, run_id, input))

    def fork_run(
        self,
        run_id: RunId,
        new_run_id: Annotated[str, Field(description="Id of the new run.")],
        after: Annotated[
            int | None,
            Field(ge=1, description="`seq` of the last event to take over. Default: the last one that is edited."),
        ] = None,
        edit: Annotated[
            dict[str, Any] | None,
            Field(
                description="Data to replace in that history, by `seq`: the result of a step, the value of a signal, "
                "arguments of a step that is open at that point, such as another prompt; `input` for those of the run."
            ),
        ] = None,
    ) -> answers.Started:
        """Start a new run that continues from an event in another run's history, with other data in it if you like. The
        other run is not changed. Steps that were open at that event run again, with all that they do.
        """
        return _started(starting.fork(self._world, run_id, new_run_id, after=after, edit=edit))

    def cancel_run(
        self,
        run_id: RunId,
        reason: Annotated[str | None, Field(description="Recorded in the history.")] = None,
    ) -> answers.Done:
        """Cancel a run: its workflow gets asyncio.CancelledError where it waits, and may clean up. It cannot be undone:
        ask the user first.
        """
        sending.cancel(self._world, run_id, reason)
        return answers.Done(run_id=run_id, what="cancellation requested; the run ends when its workflow lets it")

    def resume_run(self, run_id: RunId) -> answers.Done:
        """Request a turn of a run, such as of a blocked run after its code is fixed. Harmless at any time."""
        sending.resume(self._world, run_id)
        return answers.Done(run_id=run_id, what="turn requested")


def _started(record: Any) -> answers.Started:
    return answers.Started(
        run_id=record.run_id, workflow=record.workflow_name, status=record.status, created=not record.ended
    )
