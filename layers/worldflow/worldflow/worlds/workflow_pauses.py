"""Paused workflows: an item lists them, and a run that is about to begin reads it together with its record.

DynamoDB serves some 3,000 reads of one item a second, and more runs may begin. So the item has copies, and the run's id
decides which copy it reads. Changes are numbered: each is written to the first copy on the condition that its number is
the next, and then to the others, where the greatest number wins. If a process dies before it has written all copies,
repeating the change writes them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from worldflow.engine.errors import ConflictError
from worldflow.worlds.items import Expected, Item, Items
from worldflow.worlds.records import time_text

COPIES = 8

TRIES = 50
"""Writes in a row that may lose to other changes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkflowPause:
    """The pause of a workflow: runs of it that are started wait, until it is unpaused."""

    workflow: str
    id: str
    at: datetime
    reason: str | None = None
    by: str | None = None
    """The operator who paused it."""
    ending: bool = False
    """The workflow is being unpaused: new runs begin, and the waiting runs are notified one by one."""

    def id_in(self, run_id: str) -> str:
        """The id of the pause in a run. A fork takes over the run's history, and the same pause may pause it again."""
        return f"{self.id}/{run_id}"

    def describe(self) -> dict[str, Any]:
        """The pause as JSON values."""
        given = {name: value for name, value in asdict(self).items() if value is not None and name != "id"}
        return {**given, "at": time_text(self.at)}


def pauses_key(run_id: str) -> str:
    """The copy that a run reads."""
    return _key(zlib.crc32(run_id.encode()) % COPIES)


def pauses_in(item: Item | None) -> dict[str, WorkflowPause]:
    """The paused workflows in an item, by name."""
    stored: Mapping[str, Any] = json.loads(item["pauses"]) if item else {}
    return {
        name: WorkflowPause(workflow=name, **{**fields, "at": datetime.fromisoformat(fields["at"])})
        for name, fields in stored.items()
    }


def read(world: Items) -> dict[str, WorkflowPause]:
    """The paused workflows, by name. A consistent read."""
    return pauses_in(world.get_item(_key(0)))


def pause(world: Items, workflow: str, reason: str | None, by: str | None) -> WorkflowPause:
    """Pauses a workflow. One that is paused stays so, with the reason that was given first."""

    def paused(before: WorkflowPause | None, number: int) -> WorkflowPause:
        if before and not before.ending:
            return before
        return WorkflowPause(workflow=workflow, id=f"workflow-{number}", at=world.now(), reason=reason, by=by)

    return _change(world, workflow, paused)[workflow]


def begin_to_end(world: Items, workflow: str) -> bool:
    """Lets new runs of a paused workflow begin. Returns whether it was paused, even if its pause is ending already."""

    def ending(before: WorkflowPause | None, number: int) -> WorkflowPause | None:
        return before and replace(before, ending=True)

    return workflow in _change(world, workflow, ending)


def end(world: Items, workflow: str) -> None:
    """Forgets a pause that is ending, unless the workflow was paused again meanwhile."""
    _change(world, workflow, lambda before, number: None if before and before.ending else before)


_Change = Callable[[WorkflowPause | None, int], WorkflowPause | None]


def _change(world: Items, workflow: str, change: _Change) -> dict[str, WorkflowPause]:
    """Replaces the pause of a workflow by the result of `change`, which gets the pause and the number of the change."""
    for _ in range(TRIES):
        item = world.get_item(_key(0))
        number, pauses = int(item["number"]) if item else 0, pauses_in(item)
        before = pauses.pop(workflow, None)
        after = change(before, number + 1)
        if after:
            pauses[workflow] = after
        if after != before:
            expected = Expected(absent=item is None, field="number", one_of=(number,))
            number += 1
            if not world.put_item(_key(0), {"number": number, "pauses": _dump(pauses)}, expected):
                continue
        for copy in range(1, COPIES) if number else ():
            fields = {"number": number, "pauses": _dump(pauses)}
            world.put_item(_key(copy), fields, Expected(absent=True, field="number", below=number))
        return pauses
    raise ConflictError(f"the pause of workflow {workflow!r}: {TRIES} writes in a row lost to other changes")


def _dump(pauses: Mapping[str, WorkflowPause]) -> str:
    told = {
        name: {"id": pause.id, "at": time_text(pause.at), "reason": pause.reason, "by": pause.by}
        | ({"ending": True} if pause.ending else {})
        for name, pause in sorted(pauses.items())
    }
    return json.dumps(told, ensure_ascii=False)


def _key(copy: int) -> str:
    return f"pauses#{copy}"
