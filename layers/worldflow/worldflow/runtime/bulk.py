"""The same action on many runs: those that match some filters, one after the other, newest first.

A `Bulk` is a place in that row, and can be written down as a token: whoever reads the token goes on from there, in
another process or on another day. It is about the runs that had started when it was made, so that those which it makes
are not among them. What is done twice, since the process died before it wrote its place down, does no harm: a run that
is retried already, or has ended, is skipped, and a fork has an id that its bulk and its source decide.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args

from worldflow.engine.errors import FieldError, InvalidInputError, RunEndedError, WorldflowError
from worldflow.engine.history.forking import last_to_fork
from worldflow.engine.ids import generation
from worldflow.runtime import sending, starting
from worldflow.turns.generations import newest_generation, read_record
from worldflow.worlds import reading
from worldflow.worlds.base import World
from worldflow.worlds.filters import Filters
from worldflow.worlds.records import RunRecord, Status, check_cursor, cursor_after

Action = Literal["retry", "fork", "cancel", "terminate", "pause", "unpause", "resume"]

PAGE = 100
_FORM = 1
"""That of tokens."""

_OPEN: Sequence[Status] = ("running", "blocked", "paused")
_ON: Mapping[Action, tuple[Sequence[Status], Sequence[Status]]] = {
    "retry": (("failed",), ("failed",)),
    "fork": ((), ()),
    "cancel": (_OPEN, _OPEN),
    "terminate": (_OPEN, _OPEN),
    "pause": (("running", "blocked"), ("running", "blocked")),
    "unpause": (("paused",), ("paused",)),
    "resume": (("blocked",), _OPEN),
}
"""The statuses of the runs that an action is about, by default and at all; none where every run will do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run."""

    run_id: str
    how: Literal["done", "skipped", "failed"]
    message: str
    """The id of the run that follows, why it was skipped, or what went wrong."""


class _Skipped(Exception):
    """There is nothing to do with a run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bulk:
    """What is left to do."""

    action: Action
    filters: Filters
    statuses: Sequence[Status | None]
    """Which are looked through, one after the other; None for all at once."""
    id: str
    reason: str | None = None
    after: int | None = None
    """For forks: the event after which they continue. Default: the last before the end."""
    cursor: str | None = None

    @classmethod
    def of(
        cls, action: Action, filters: Filters, now: datetime, *, reason: str | None = None, after: int | None = None
    ) -> Bulk:
        """Raises `InvalidInputError` where no run is chosen, or one of a status with which nothing can be done."""
        if not any(value is not None for value in filters.values()):
            raise InvalidInputError(
                f"choose the runs to {action}: give at least one condition", [FieldError("where", "must not be empty")]
            )
        usual, possible = _ON[action]
        status = filters.get("status")
        if status and possible and status not in possible:
            rule = f"the runs to {action} have the status {either(possible)}, not {status}"
            raise InvalidInputError(rule, [FieldError("where", rule)])
        before = filters.get("started_before")
        return cls(
            action=action,
            filters={**filters, "status": None, "started_before": min(before, now) if before else now},
            statuses=[status] if status else usual or [None],
            id=uuid.uuid4().hex[:12],
            reason=reason,
            after=after,
        )

    def count(self, world: World) -> int:
        """How many runs are still to be looked at, but for those that started in the same moment as the last one."""
        number = 0
        for place, status in enumerate(self.statuses):
            filters = self.filters | {"status": status}
            if self.cursor and place == 0:
                filters["started_before"] = datetime.fromisoformat(check_cursor(self.cursor)[0])
            number += world.count_runs(**filters)
        return number

    def first(self, world: World, limit: int) -> Sequence[RunRecord]:
        """The first of those to be looked at."""
        found: list[RunRecord] = []
        for record, _ in self._records(world):
            found.append(record)
            if len(found) == limit:
                break
        return found

    def run(self, world: World) -> Iterator[tuple[Outcome, Bulk]]:
        """Acts on each run when the next value is asked for. Yields what became of it, and what is left then.

        What is wrong with one run stops no other. Raises what has nothing to do with a run, such as an outage.
        """
        for record, left in self._records(world):
            yield self._act(world, record.run_id), left

    def _records(self, world: World) -> Iterator[tuple[RunRecord, Bulk]]:
        """The runs, and what is left after each."""
        for place, status in enumerate(self.statuses):
            here = replace(self, statuses=self.statuses[place:], cursor=None if place else self.cursor)
            more: str | None = ""
            while more is not None:
                filters = self.filters | {"status": status}
                page = world.list_runs(limit=PAGE, cursor=more or here.cursor, **filters)
                for record in page.runs:
                    yield record, replace(here, cursor=cursor_after(record))
                more = page.cursor

    def _act(self, world: World, run_id: str) -> Outcome:
        act: Callable[[World, str], str] = getattr(self, f"_{self.action}")
        try:
            return Outcome(run_id, "done", act(world, run_id))
        except (_Skipped, RunEndedError) as reason:
            return Outcome(run_id, "skipped", str(reason))
        except WorldflowError as error:
            return Outcome(run_id, "failed", f"{type(error).__name__}: {error}")

    def _retry(self, world: World, run_id: str) -> str:
        newest = newest_generation(world, read_record(world, run_id))
        if newest.run_id != run_id:
            raise _Skipped(f"is followed by {newest.run_id} already ({newest.status})")
        return starting.retry(world, run_id).run_id

    def _fork(self, world: World, run_id: str) -> str:
        after = self.after or last_to_fork(reading.stored_events(world, run_id))
        if not after:
            raise _Skipped("has no event before its end to continue from")
        return starting.fork(world, run_id, fork_id(run_id, self.id), after=after).run_id

    def _cancel(self, world: World, run_id: str) -> str:
        sending.cancel(world, run_id, self.reason)
        return run_id

    def _terminate(self, world: World, run_id: str) -> str:
        sending.terminate(world, run_id, self.reason)
        return run_id

    def _pause(self, world: World, run_id: str) -> str:
        sending.pause(world, run_id, self.reason)
        return run_id

    def _unpause(self, world: World, run_id: str) -> str:
        sending.unpause(world, run_id)
        return run_id

    def _resume(self, world: World, run_id: str) -> str:
        sending.resume(world, run_id)
        return run_id

    # --- tokens ---

    @property
    def token(self) -> str:
        """This place, as text without spaces."""
        moments = {name: value.isoformat() for name, value in self.filters.items() if isinstance(value, datetime)}
        given = {name: value for name, value in self.filters.items() if value is not None}
        fields = {**asdict(self), "filters": {**given, **moments}, "form": _FORM}
        text = json.dumps({name: value for name, value in fields.items() if value is not None}, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def from_token(cls, token: str) -> Bulk:
        """Raises `InvalidInputError` for what is no token."""
        try:
            fields: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            if fields.pop("form") != _FORM or fields["action"] not in get_args(Action):
                raise ValueError
            filters = fields["filters"]
            for name in ("started_after", "started_before", "ended_after", "ended_before"):
                if name in filters:
                    filters[name] = datetime.fromisoformat(filters[name])
            return cls(**fields)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise InvalidInputError(
                f"{token[:60]!r} is not a token",
                [FieldError("continue", "must be the token of an interrupted command")],
            ) from None


def either(words: Sequence[str]) -> str:
    """Words as alternatives: `a, b or c`."""
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def fork_id(run_id: str, bulk: str) -> str:
    """The id of the fork of a run that is made by one request: also of two runs whose ids begin alike."""
    return f"{generation(run_id)[0][:80]}-fork-{hashlib.sha256(f'{bulk} {run_id}'.encode()).hexdigest()[:8]}"
