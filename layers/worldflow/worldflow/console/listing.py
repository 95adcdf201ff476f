"""The list of runs: the filter that is in its address, and the pages that match it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from worldflow.console import forms
from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import Attribute
from worldflow.runtime.where import read_where
from worldflow.worlds.base import World
from worldflow.worlds.filters import Filters, Selection
from worldflow.worlds.records import STATUSES, RunRecord, Status

PAGE = 50
_LOOKS = 20
"""Pages of the World that one page of a list looks through at most, where matches are rare."""


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
    where: str = ""
    """As the command line's `--where`."""
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
    filters = filters_of(wanted, world.now())
    found, cursor = _named(world, wanted, filters), wanted.cursor or None
    for _ in range(_LOOKS):
        page = world.list_runs(limit=PAGE - len(found), cursor=cursor, **filters)
        found += [run for run in page.runs if run.run_id != wanted.prefix]
        cursor = page.cursor
        if cursor is None or len(found) >= PAGE:
            return Listed(_sorted(found, wanted.sort, world.now()), cursor)
    return Listed(_sorted(found, wanted.sort, world.now()), cursor, has_looked_far=True)


def filters_of(wanted: Filter, now: datetime) -> Filters:
    """The filters of a World, from the fields of a form. Raises `InvalidInputError`."""
    by_field: Filters = {
        "status": wanted.status,
        "workflow": wanted.workflow or None,
        "attributes": _attributes(wanted.attributes),
        "started_after": _moment(wanted.since, "since"),
        "started_before": _moment(wanted.until, "until"),
        "id_prefix": wanted.prefix or None,
    }
    typed = read_where(wanted.where, now)
    twice = [name for name, value in by_field.items() if value is not None and name in typed]
    if twice:
        problem = f"{twice[0]} is in a field of its own and in the search: give one"
        raise InvalidInputError(problem, [FieldError("where", problem)])
    return {**by_field, **typed}


def _named(world: World, wanted: Filter, filters: Filters) -> list[RunRecord]:
    """The run whose whole id is typed, if it matches: however old it is, it comes first."""
    if not wanted.prefix or wanted.cursor or filters.get("parent"):
        return []
    run = world.get_run(wanted.prefix)
    return [run] if run and Selection.of(filters).matches(run) else []


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
