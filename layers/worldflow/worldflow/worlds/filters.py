"""What a list of runs is narrowed down by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypedDict

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import Attribute
from worldflow.worlds.records import RunRecord, Status, check_status


class Filters(TypedDict, total=False):
    """What `list_runs` and `count_runs` take; a filter that is None is as one that is left out."""

    status: Status | None
    workflow: str | None
    """The workflow's name."""
    attributes: Mapping[str, Attribute] | None
    """Attributes that the run has, all of them."""
    started_after: datetime | None
    """At this time or later."""
    started_before: datetime | None
    ended_after: datetime | None
    """At this time or later; a run that has not ended does not match, nor with `ended_before`."""
    ended_before: datetime | None
    id_prefix: str | None
    """What the id begins with."""
    parent: str | None
    """The id of the run that started it as a child. Of a child that continued as new, its first and its newest
    generation match.
    """
    status_text: str | None
    """Part of what the workflow set with `set_status()`, in the same case."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The runs of which all that is given holds."""

    status: Status | None = None
    workflow: str | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    started_after: datetime | None = None
    started_before: datetime | None = None
    ended_after: datetime | None = None
    ended_before: datetime | None = None
    id_prefix: str | None = None
    parent: str | None = None
    status_text: str | None = None

    @classmethod
    def of(cls, filters: Filters) -> Selection:
        """Raises `InvalidInputError`, also for a name that is no filter's."""
        unknown = [name for name in filters if name not in cls.__slots__]
        if unknown:
            raise InvalidInputError(
                f"there is no filter {unknown[0]!r}: there are {', '.join(cls.__slots__)}",
                [FieldError(unknown[0], "is not a filter")],
            )
        check_status(filters.get("status"))
        for name in ("started_after", "started_before", "ended_after", "ended_before"):
            _check_moment(name, filters.get(name))
        given = {name: value for name, value in filters.items() if value is not None}
        return cls(**given)  # type: ignore[arg-type]

    @property
    def before(self) -> datetime | None:
        """All runs that match started before this: what ended before a time started before it."""
        return min((moment for moment in (self.started_before, self.ended_before) if moment), default=None)

    @property
    def reads_more_than_it_lists(self) -> bool:
        """Whether there may be others between two runs that match, in the order of their starts."""
        others = (self.workflow, self.attributes, self.ended_after, self.ended_before, self.id_prefix, self.status_text)
        return any(others)

    def matches(self, record: RunRecord) -> bool:
        """Whether all holds of a record, except for its parent."""
        if self.status not in (None, record.status) or self.workflow not in (None, record.workflow_name):
            return False
        if not _is_within(record.created_at, self.started_after, self.started_before):
            return False
        if (self.ended_after or self.ended_before) and not (
            record.ended_at and _is_within(record.ended_at, self.ended_after, self.ended_before)
        ):
            return False
        if not record.run_id.startswith(self.id_prefix or "") or (self.status_text or "") not in (
            record.status_text or ""
        ):
            return False
        has = {(name, type(value), value) for name, value in record.attributes.items()}
        return {(name, type(value), value) for name, value in self.attributes.items()} <= has


def _is_within(moment: datetime, after: datetime | None, before: datetime | None) -> bool:
    return (after is None or moment >= after) and (before is None or moment < before)


def _check_moment(name: str, moment: object) -> None:
    if moment is None:
        return
    if not isinstance(moment, datetime):
        raise InvalidInputError(f"{name} takes a datetime, not {moment!r}", [FieldError(name, "must be a datetime")])
    if moment.tzinfo is None:
        raise InvalidInputError(
            f"{name} needs a time zone, such as datetime.now(UTC)", [FieldError(name, "must have a time zone")]
        )
