"""The calls of an `Orchestrator` about workflows as a whole."""

from __future__ import annotations

import asyncio
from typing import Any

from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import workflow_pauses
from worldflow.worlds.base import World
from worldflow.worlds.workflow_pauses import WorkflowPause


class WorkflowCalls:
    """Pauses workflows, and lets them continue."""

    _world: World

    async def pause_workflow(
        self,
        workflow: Workflow[..., Any] | str,
        reason: str | None = None,
        *,
        by: str | None = None,
        open_runs: bool = False,
    ) -> WorkflowPause:
        """Pauses a workflow: runs that are started from now on are recorded, and wait as `paused` until it is unpaused.

        Its open runs continue, also as further generations. Calling it again does no harm.
        workflow: the function decorated with `@workflow`, or its name.
        reason, by: why, and who asks for it, as the records of the runs that wait show.
        open_runs: pauses the open runs, too.
        Raises `InvalidInputError` for a name that is not valid.
        """
        return await asyncio.to_thread(
            workflow_pauses.pause_workflow, self._world, workflow, reason, by=by, open_runs=open_runs
        )

    async def unpause_workflow(self, workflow: Workflow[..., Any] | str, *, rate: str | None = None) -> int:
        """Lets runs of a workflow begin again, and returns how many have waited. New runs begin at once, waiting runs
        one after the other, oldest first. If it is interrupted, call it again for the runs that are left.

        rate: how many waiting runs may begin in a time, such as `20/1s`. Default: no limit.
        Raises `InvalidInputError` for a name or a rate that is not valid.
        """
        seconds, number = workflow_pauses.interval(rate), 0
        told = workflow_pauses.unpause_workflow(self._world, workflow)
        while await asyncio.to_thread(next, told, None):
            number += 1
            await asyncio.sleep(seconds)
        return number

    async def paused_workflows(self) -> list[WorkflowPause]:
        """The workflows that are paused, by name. One is `ending` while `unpause_workflow` has runs left."""
        return await asyncio.to_thread(workflow_pauses.paused_workflows, self._world)
