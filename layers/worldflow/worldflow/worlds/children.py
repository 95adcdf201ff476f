"""The list of a run's children: those that its history names, since no index knows parents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import ChildStarted
from worldflow.engine.ids import generation, generation_id
from worldflow.worlds import items, reading
from worldflow.worlds.filters import Selection
from worldflow.worlds.records import LISTED, RunPage, RunRecord, check_cursor, cursor_after


class Related(reading.Readable, Protocol):
    """The members of a World that the list uses."""

    def get_item(self, key: str) -> items.Item | None: ...


def page_of_children(world: Related, selection: Selection, limit: int, cursor: str | None) -> RunPage:
    """The children of a run that match, those started last first. Reads the run's history, and the record of each child
    that it looks at: up to `limit` of them.
    """
    assert selection.parent is not None
    history = reading.find_history(world, selection.parent) or []
    ids = [event.child_run_id for event in reversed(history) if isinstance(event, ChildStarted)]
    ids = list(dict.fromkeys(ids))
    last = check_cursor(cursor)[1] if cursor else None
    if last:
        base = generation(last)[0]
        if last not in ids and base not in ids:
            problem = [FieldError("cursor", "must come from a previous page")]
            raise InvalidInputError(f"{cursor!r} is not a valid cursor", problem)
        ids = ids[ids.index(last) + 1 :] if last in ids else ids[ids.index(base) :]
    found: list[RunRecord] = []
    for looked, run_id in enumerate(ids, 1):
        first = world.get_run(run_id)
        of_child = _generations(world, first) if first else iter(())
        fitting = [record for record in of_child if _is_child(record, selection) and selection.matches(record)]
        found += [_listed(record) for record in fitting if record.run_id != last]
        if first and looked < len(ids) and (len(found) >= limit or looked >= limit):
            return RunPage(found, cursor_after(first))
    return RunPage(found)


def _is_child(record: RunRecord, selection: Selection) -> bool:
    """Not one of another run, whose id this run wanted for its own."""
    return record.parent is not None and record.parent.run_id == selection.parent


def _generations(world: Related, first: RunRecord) -> Iterator[RunRecord]:
    """The newest generation of a child, and the first."""
    if first.status == "continued":
        base, number = generation(first.run_id)
        item = world.get_item(items.generation_key(base))
        newest = int(item["number"]) if item else 1
        if newest > number and (record := world.get_run(generation_id(base, newest))):
            yield record
    yield first


def _listed(record: RunRecord) -> RunRecord:
    return RunRecord.model_validate({name: getattr(record, name) for name in LISTED})
