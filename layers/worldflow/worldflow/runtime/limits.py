"""Limits as operators see them: who holds a place and who waits; and what they set in place of what the code says."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from worldflow.engine.durations import spoken
from worldflow.engine.errors import FieldError, InvalidInputError, LimitNotFoundError
from worldflow.engine.history.limit_state import Asker, LimitState
from worldflow.engine.history.limits import LAST_MOMENT, LimitRow, Place, Rate, read_token, run_token, step_token
from worldflow.engine.history.state import RunState
from worldflow.engine.workflow.limits import is_count, parse_rate
from worldflow.engine.workflow.ramps import is_limited, version_for
from worldflow.turns.acts.limits import wake
from worldflow.worlds import limits, reading
from worldflow.worlds.base import World
from worldflow.worlds.payloads import fetch
from worldflow.worlds.records import RunRecord

_SET = "set:"
"""How the ids of changes by operators begin."""


@dataclass(frozen=True, slots=True)
class PlaceAtLimit:
    """An attempt of a step, or a run, that holds a place at a limit or waits for one."""

    run_id: str
    step_id: str | None
    """None for a run itself."""
    attempt: int | None
    since: datetime
    """When it was granted its place; of one that waits, when it asked."""
    priority: int = 0
    fairness: str | None = None


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """A limit as it stands, for one of its keys."""

    name: str
    key: str
    """Empty for a limit without keys."""
    concurrency: int | None
    """How many may hold a place; None where that is not limited."""
    rate: str | None
    """How many may begin in a time, such as `500/1m`."""
    burst: int | None
    changed: bool
    """An operator has set it, in place of what the code says."""
    holders: list[PlaceAtLimit]
    waiting: list[PlaceAtLimit]
    """The next one first."""

    def describe(self) -> dict[str, Any]:
        """The status as JSON values."""
        own = {"name": self.name, "key": self.key, "concurrency": self.concurrency, "rate": self.rate}
        places = {"holders": list(map(_described, self.holders)), "waiting": list(map(_described, self.waiting))}
        return {**own, "burst": self.burst, "changed": self.changed, **places}


def list_limits(world: World) -> list[LimitStatus]:
    """All limits, by name and key."""
    return [status for name in limits.names(world) for status in _of_name(world, name)]


def get_limit(world: World, name: str, key: str | None = None) -> list[LimitStatus]:
    """A limit, for each of its keys or for one. Raises `LimitNotFoundError`."""
    found = [status for status in _of_name(world, name) if key in (None, status.key)]
    if not found:
        raise LimitNotFoundError(name, key)
    return found


def set_limit(
    world: World,
    name: str,
    *,
    concurrency: int | None = None,
    rate: str | None = None,
    burst: int | None = None,
    key: str | None = None,
    reset: bool = False,
) -> list[LimitStatus]:
    """Sets how much a limit lets through, at once and until it is reset, for one key or for all that there will be.

    concurrency: 0 lets nothing begin. What is None stays as it is.
    reset: what the code says counts again, but for what is given.
    Raises `InvalidInputError` and `LimitNotFoundError`.
    """
    changed = _checked(concurrency, rate, burst)
    if not changed and not reset:
        raise InvalidInputError("give concurrency, rate or reset", [FieldError("concurrency", "or rate is required")])
    found = get_limit(world, name, key)
    if concurrency is not None and any(status.concurrency is None for status in found):
        raise _invalid("concurrency", f"limit {name!r} has none in the code: declare it there first")
    change_id = f"{_SET}{uuid.uuid4().hex}"
    keys = [key] if key is not None else limits.change_all(world, name, changed, change_id, reset=reset)
    for one in keys:
        state, _ = limits.change(world, name, one, lambda state: _plan(world, state, changed, reset, change_id))
        # Also those of changes before, whose process may have died before it could tell them.
        granted = [holder for holder in state.holders.values() if any(by.startswith(_SET) for by in holder.by)]
        if granted:
            world.send([wake((name, one), holder, world.now()) for holder in granted])
    return get_limit(world, name, key)


def _plan(world: World, state: LimitState, changed: Mapping[str, Any], reset: bool, change_id: str) -> LimitRow | None:
    return state.plan(world.now(), changed={**({} if reset else state.changed), **changed}, change=change_id)


def _checked(concurrency: int | None, rate: str | None, burst: int | None) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    if concurrency is not None:
        if not is_count(concurrency, 0):
            raise _invalid("concurrency", f"must be an integer of at least 0, not {concurrency!r}")
        changed["concurrency"] = concurrency
    if burst is not None and (not is_count(burst) or rate is None):
        raise _invalid("burst", "must be an integer of at least 1, together with a rate")
    if rate is not None:
        try:
            parsed = parse_rate(rate, burst or 1)
        except ValueError as error:
            raise _invalid("rate", str(error)) from None
        changed["rate"] = {"count": parsed.count, "seconds": parsed.seconds, "burst": parsed.burst}
    return changed


def _invalid(field: str, what: str) -> InvalidInputError:
    return InvalidInputError(f"{field}: {what}", [FieldError(field, what)])


def _of_name(world: World, name: str) -> Iterator[LimitStatus]:
    for key in limits.keys(world, name):
        yield status_of(name, key, limits.read(world, name, key))


def status_of(name: str, key: str, state: LimitState) -> LimitStatus:
    """A limit as its state says."""
    effective = state.effective
    return LimitStatus(
        name=name,
        key=key,
        concurrency=effective.concurrency,
        rate=_text(effective.rate) if effective.rate else None,
        burst=effective.rate.burst if effective.rate else None,
        changed=bool(state.changed),
        holders=[_place(holder.asker, holder.at) for holder in state.places],
        waiting=[_place(asker, asker.since) for asker in state.in_turn()],
    )


def waiting_steps(world: World, run_id: str, state: RunState) -> dict[str, str]:
    """What is to be said of the steps of a run that wait for a place at a limit, by their ids."""
    told: dict[str, str] = {}
    lines: dict[tuple[str, str], list[str]] = {}
    for step_id, step in state.steps.items():
        if state.ended or state.started is None or step.attempt is None or not step.scheduled.is_limited:
            continue
        place = Place.load(step.scheduled.limit or {})
        line = lines.get((place.limit, place.key))
        if line is None:
            waiting = limits.read(world, place.limit, place.key).in_turn()
            line = lines[place.limit, place.key] = [asker.token for asker in waiting]
        token = step_token(run_id, state.started.created_at, step_id, step.attempt)
        if token in line:
            told[step_id] = _waiting(place, line, token)
    return told


def waiting_run(world: World, record: RunRecord) -> str | None:
    """What is to be said of a run that waits for a place at its workflow's limit, where its code is here."""
    if record.status != "pending" or not is_limited(record.workflow_name, record.run_id, record.version):
        return None
    workflow = version_for(record.workflow_name, record.run_id, record.version)
    signature, starts = workflow.signature, workflow.starts
    assert starts.limit is not None
    try:
        arguments = signature.decode(fetch(world, reading.stored_run(world, record.run_id).input) or {})
        place = starts.limit.place(signature, arguments, starts.priority, starts.fairness)
    except Exception:  # whatever the user's functions raise
        return None
    line = [asker.token for asker in limits.read(world, place.limit, place.key).in_turn()]
    token = run_token(record.run_id, record.created_at)
    return _waiting(place, line, token) if token in line else None


def _waiting(place: Place, line: Sequence[str], token: str) -> str:
    return f"waiting for limit {place.limit!r} ({line.index(token) + 1} of {len(line)})"


def _text(rate: Rate) -> str:
    return f"{rate.count}/{spoken(rate.seconds)}"


def _place(asker: Asker, since: float) -> PlaceAtLimit:
    run_id, step_id, attempt = read_token(asker.token)
    moment = datetime.fromtimestamp(min(since, LAST_MOMENT), UTC)
    return PlaceAtLimit(run_id, step_id, attempt, moment, asker.priority, asker.fairness)


def _described(place: PlaceAtLimit) -> dict[str, Any]:
    own: dict[str, Any] = {"run_id": place.run_id, "step_id": place.step_id, "attempt": place.attempt}
    return {**own, "since": place.since.isoformat(), "priority": place.priority, "fairness": place.fairness}
