"""The list of runs: the filter that is in its address, and the pages that match it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import get_args
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from worldflow.console import forms
from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import Attribute
from worldflow.worlds.base import World
from worldflow.worlds.records import RunRecord, Status, time_text

PAGE = 50
_LOOKS = 20
"""Pages of the World that one page of a list looks through at most, where matches are rare."""

STATUSES: Sequence[Status] = tuple(status for status in get_args(Status) if status != "pending")
_LAST_ID = "~"
"""Greater than every id of a run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """What a list of runs shows: runs of which all that is given holds."""

    status: Status | None = None
    workflow: str = ""
    prefix: str = ""
    attributes: str = ""
    """As `customer=c1 total=3`."""
    since: str = ""
    until: str = ""
    """Both in local time as `datetime-local` fields have it, or with a UTC offset."""
    cursor: str = ""
    sort: str = ""

    @classmethod
    def of(cls, query: QueryParams) -> Filter:
        """Raises `InvalidInputError`."""
        given = {name: query.get(name, "").strip() for name in cls.__slots__ if query.get(name, "").strip()}
        if (status := given.get("status")) and status not in STATUSES:
            raise InvalidInputError(f"{status!r} is not a status", [FieldError("status", "no such status")])
        return cls(**given)  # type: ignore[arg-type]

    def query(self, **changes: str) -> str:
        """The query of the address of this list, with changes. A changed filter begins at its first page."""
        changed = replace(self, **{"cursor": "", **changes})  # type: ignore[arg-type]
        pairs = [(name, getattr(changed, name)) for name in self.__slots__]
        return urlencode([(name, value) for name, value in pairs if value])

    @property
    def is_empty(self) -> bool:
        return not any(getattr(self, name) for name in self.__slots__ if name not in ("cursor", "sort"))


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of runs, and the cursor of the next one."""

    runs: Sequence[RunRecord]
    cursor: str | None
    has_looked_far: bool = False
    """Nothing more was found in many pages, and there are more to look through."""


def list_page(world: World, wanted: Filter) -> Listed:
    """The next page of runs that match. Raises `InvalidInputError`."""
    attributes = _attributes(wanted.attributes)
    since, until = _moment(wanted.since, "since"), _moment(wanted.until, "until")
    cursor = wanted.cursor or (f"{time_text(until)}#{_LAST_ID}" if until else None)
    found = _named(world, wanted, attributes, since, until)
    for _ in range(_LOOKS):
        page = world.list_runs(
            status=wanted.status,
            workflow=wanted.workflow or None,
            attributes=attributes,
            limit=PAGE - len(found),
            cursor=cursor,
        )
        runs = [run for run in page.runs if since is None or run.created_at >= since]
        found += [run for run in runs if run.run_id.startswith(wanted.prefix) and run.run_id != wanted.prefix]
        cursor = page.cursor if len(runs) == len(page.runs) else None
        if cursor is None or len(found) >= PAGE:
            return Listed(_sorted(found, wanted.sort, world.now()), cursor)
    return Listed(_sorted(found, wanted.sort, world.now()), cursor, has_looked_far=True)


def _named(
    world: World,
    wanted: Filter,
    attributes: Mapping[str, Attribute] | None,
    since: datetime | None,
    until: datetime | None,
) -> list[RunRecord]:
    """The run whose whole id is typed, if it matches: however old it is, it comes first."""
    run = world.get_run(wanted.prefix) if wanted.prefix and not wanted.cursor else None
    if run is None or wanted.status not in (None, run.status) or wanted.workflow not in ("", run.workflow_name):
        return []
    if (since and run.created_at < since) or (until and run.created_at > until):
        return []
    has = {(name, type(value), value) for name, value in run.attributes.items()}
    wants = {(name, type(value), value) for name, value in (attributes or {}).items()}
    return [run] if wants <= has else []


def _sorted(runs: Sequence[RunRecord], sort: str, now: datetime) -> Sequence[RunRecord]:
    """The runs of a page in another order: `-` before the name of a column turns it round."""
    name = sort.removeprefix("-")
    keys = {
        "run": lambda run: run.run_id,
        "workflow": lambda run: (run.workflow_name, run.run_id),
        "status": lambda run: (run.status, run.run_id),
        "took": lambda run: (run.ended_at or now) - run.created_at,
        "started": lambda run: run.created_at,
    }
    return sorted(runs, key=keys[name], reverse=sort.startswith("-")) if name in keys else runs


def _attributes(text: str) -> dict[str, Attribute] | None:
    """Attributes of `customer="c1" total=3`: JSON values, or text as it stands."""
    attributes: dict[str, Attribute] = {}
    for pair in text.split():
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise InvalidInputError(f"{pair!r} is not an attribute", [FieldError("attributes", "must be NAME=VALUE")])
        try:
            parsed = forms.parse_json(value, "")
        except ValueError:
            parsed = value
        attributes[name] = parsed if isinstance(parsed, Attribute) else value
    return attributes or None


def _moment(text: str, name: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInputError(
            f"{text!r} is not a time", [FieldError(name, "must be like 2026-11-29T14:00")]
        ) from None
