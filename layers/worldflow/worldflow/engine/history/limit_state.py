"""Who holds a place at a limit and who waits, as its history says; and what its next commit is to say.

    applied       the state after a row
    plan          the row that says what is to change, with the grants that follow from it
    in_turn       those that wait, in the order in which they are granted a place

A token is an attempt of a step, or a run. It asks once, waits, holds, and ends; what is asked again changes nothing.
A state is a value: nothing here reads a clock or changes a state that exists.

Of those that wait, the lowest priority number goes first. Among equals the values of `fairness` take turns: the one
that was granted a place longest ago is next. Within one value, and where there are none, it is age that counts.

A rate is a GCRA: `next_free` is the time at which the next one may begin if no burst is left. A grant takes a time
that no other has, and the time may lie ahead.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain, islice
from typing import Any

from worldflow.engine.history.limits import Declared, LimitRow, Rate

RECENT = 1_000
"""Ended tokens that are remembered, so that a turn that comes late does not ask for one again; and values of fairness,
so that one that comes and goes does not overtake those that wait.
"""

UNLIMITED = Declared()

SLOTS_SECONDS = 3_600.0
"""How long a limit remembers the start time of a token that holds no place."""

DECLARED = "declared"
"""The id of a change by the code."""

LEASE_SECONDS = 16 * 60.0
"""How much longer than its own time an attempt may run where its process is not known to have ended."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who waits."""

    token: str
    priority: int = 0
    fairness: str | None = None
    seconds: float = 0.0
    """How long it may hold its place, by its timeout."""
    since: float = 0.0
    reports: bool = True
    """Whether it reports its end. A step that was called under a rate alone does not: it takes a start time and no
    place, even if the code limits the concurrency by now.
    """


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a place, from the time `at` on."""

    asker: Asker
    at: float
    by: tuple[str, ...] = ()
    """The tokens whose end made room, and the change: if their commit was not acted on, it is again."""

    @property
    def lease(self) -> float:
        """Until when it is not asked whether it is alive."""
        return self.at + self.asker.seconds + LEASE_SECONDS


@dataclass(frozen=True, slots=True)
class LimitState:
    """The projection of a limit's history."""

    seq: int = 0
    at: float = 0.0
    declared: Declared = UNLIMITED
    declared_at: float = 0.0
    changed: Mapping[str, Any] = field(default_factory=dict)
    """What an operator has set."""
    holders: Mapping[str, Holder] = field(default_factory=dict)
    waiting: Mapping[str, Asker] = field(default_factory=dict)
    """By age."""
    turns: Mapping[str | None, int] = field(default_factory=dict)
    """When each value of fairness was granted a place last, by the number of the grant."""
    granted: int = 0
    ended: Mapping[str, None] = field(default_factory=dict)
    next_free: float = 0.0
    watch: str | None = None
    sealed: bool = False

    @property
    def effective(self) -> Declared:
        """What counts: what an operator has set, and otherwise what the code declares."""
        if not self.changed:
            return self.declared
        rate = Declared.load(self.changed).rate if "rate" in self.changed else self.declared.rate
        return Declared(self.changed.get("concurrency", self.declared.concurrency), rate)

    @property
    def room(self) -> int:
        """How many may be granted a place now."""
        limit = self.effective.concurrency
        return len(self.waiting) if limit is None else min(len(self.waiting), limit - len(self.places))

    @property
    def places(self) -> list[Holder]:
        """The holders that count towards the concurrency: those with only a start time are left out."""
        return [holder for holder in self.holders.values() if holder.asker.reports]

    # --- reading ---

    def applied(self, row: LimitRow) -> LimitState:
        """The state after a row."""
        if row.snapshot is not None:
            return replace(_loaded(row.snapshot), seq=row.seq, at=row.at.timestamp())
        at = row.at.timestamp()
        holders, waiting, ended = self.holders, self.waiting, self.ended
        if row.ends or row.parks:
            gone = {*row.ends, *row.parks}
            holders = {token: holder for token, holder in holders.items() if token not in gone}
            waiting = _without(waiting, gone)
            ended = _newest({**ended, **dict.fromkeys(row.ends)})
        if row.asks:
            waiting = {**waiting, **{token: Asker(token, p, f, s, at, *r) for token, p, f, s, *r in row.asks}}
        state = replace(
            self,
            seq=row.seq,
            at=at,
            declared=self.declared if row.declared is None else Declared.load(row.declared),
            declared_at=row.declared_at or self.declared_at,
            changed=self.changed if row.changed is None else row.changed,
            holders=holders,
            waiting=waiting,
            ended=ended,
            next_free=self.next_free if row.free is None else row.free,
            watch=row.watch or self.watch,
            sealed=bool(row.sealed),
        )
        return state._with_grants(row, at) if row.grants else state

    def _with_grants(self, row: LimitRow, at: float) -> LimitState:
        by = tuple(filter(None, (*row.ends, *row.parks, row.change)))
        holders, waiting, turns = dict(self.holders), dict(self.waiting), dict(self.turns)
        granted, next_free, rate = self.granted, self.next_free, self.effective.rate
        past = [token for token, holder in holders.items() if not holder.asker.reports and holder.at <= at]
        for number, token in enumerate(past, 1):
            if len(past) - number >= RECENT or holders[token].at <= at - SLOTS_SECONDS:
                del holders[token]
        for token, time in row.grants:
            if asker := waiting.pop(token, None):
                granted += 1
                turns.pop(asker.fairness, None)
                turns[asker.fairness] = granted
            holders[token] = Holder(asker or holders[token].asker, time, by)
            if rate:
                next_free = max(next_free, time) + rate.interval
        return replace(
            self, holders=holders, waiting=waiting, turns=_newest(turns), granted=granted, next_free=next_free
        )

    def in_turn(self) -> Iterator[Asker]:
        """Those that wait, in the order in which they are granted a place."""
        by_priority: dict[int, dict[str | None, deque[Asker]]] = {}
        for asker in self.waiting.values():
            by_priority.setdefault(asker.priority, {}).setdefault(asker.fairness, deque()).append(asker)
        last, turns = self.granted, dict(self.turns)
        for _, lines in sorted(by_priority.items()):
            queue = [(turns.get(fairness, 0), place, fairness) for place, fairness in enumerate(lines)]
            heapq.heapify(queue)
            while queue:
                _, place, fairness = heapq.heappop(queue)
                yield lines[fairness].popleft()
                last += 1
                turns[fairness] = last
                if lines[fairness]:
                    heapq.heappush(queue, (last, place, fairness))

    # --- what is to change ---

    def plan(
        self,
        now: datetime,
        *,
        ends: Iterable[str] = (),
        parks: Iterable[str] = (),
        asks: Iterable[Asker] = (),
        declared: Declared | None = None,
        declared_at: float = 0.0,
        changed: Mapping[str, Any] | None = None,
        change: str | None = None,
    ) -> LimitRow | None:
        """The next row; None if nothing changes.

        ends: tokens that leave. One that is unknown has left.
        parks: tokens that leave and may ask again.
        asks: those that ask. One that is known, or was, has asked.
        declared, declared_at: what the code declares, and since when: what was declared last counts.
        changed, change: what an operator sets, and the id of this change.
        """
        fields: dict[str, Any] = {}
        known = (self.holders, self.waiting)
        if gone := [token for token in dict.fromkeys(ends) if any(token in those for those in known)]:
            fields["ends"] = gone
        if left := [token for token in dict.fromkeys(parks) if any(token in those for those in known)]:
            fields["parks"] = left
        if new := {a.token: a for a in asks if not any(a.token in those for those in (*known, self.ended))}:
            fields["asks"] = list(map(_asked, new.values()))
        if declared is not None and declared != self.declared and declared_at >= self.declared_at:
            fields |= {"declared": declared.dump(), "declared_at": declared_at, "change": DECLARED}
        if changed is not None and changed != self.changed:
            fields["changed"], fields["change"] = dict(changed), change
        row = LimitRow(**fields).recorded(self.seq + 1, now)
        state, ahead = self.applied(row), list[Holder]()
        if "change" in fields and (free := self._sooner(state.effective.rate, now.timestamp())) is not None:
            later = sorted((one for one in self.holders.values() if one.at > now.timestamp()), key=lambda one: one.at)
            if changed is not None or not later:  # a deployment does not notify thousands that they begin earlier
                row = row.model_copy(update={"free": free})
                state, ahead = self.applied(row), later
        if grants := state._grants(now.timestamp(), ahead):
            row = row.model_copy(update={"grants": grants})
            state = self.applied(row)
        elif not fields:
            return None
        if state.waiting and state.watch not in state.waiting:
            row = row.model_copy(update={"watch": list(state.waiting)[-1]})
        return row

    def _grants(self, now: float, ahead: Sequence[Holder]) -> list[tuple[str, float]]:
        """The tokens that are granted a place next, and the time from which each holds it.

        ahead: holders whose start time lies ahead, and which get a new one.
        """
        rate, free, room = self.effective.rate, self.next_free, self.room
        next_ones = islice(self.in_turn(), room) if room > 0 else ()
        grants = []
        for asker in chain((holder.asker for holder in ahead), next_ones):
            at = now
            if rate:
                at = max(now, free - (rate.burst - 1) * rate.interval)
                free = max(free, at) + rate.interval
            grants.append((asker.token, at))
        return grants

    def _sooner(self, rate: Rate | None, now: float) -> float | None:
        """The `next_free` under another rate, if it is earlier than the present one; otherwise None."""
        if self.effective.rate is None:
            return None
        if rate is None:
            return now
        free = now + rate.burst * rate.interval
        return free if rate.interval < self.effective.rate.interval and free < self.next_free else None

    def made_room_for(self, tokens: Sequence[str]) -> list[Holder]:
        """Those that hold a place since these have left, or since this change."""
        left = set(tokens)
        return [holder for holder in self.holders.values() if not left.isdisjoint(holder.by)]

    # --- the next history ---

    def snapshot(self) -> LimitRow:
        """The row with which the next history begins."""
        state = {
            "declared": self.declared.dump(),
            "declared_at": self.declared_at,
            "changed": dict(self.changed),
            "holders": [[*_fields(holder.asker), holder.at, list(holder.by)] for holder in self.holders.values()],
            "waiting": [_fields(asker) for asker in self.waiting.values()],
            "turns": list(map(list, self.turns.items())),
            "granted": self.granted,
            "ended": list(self.ended),
            "next_free": self.next_free,
            "watch": self.watch,
        }
        return LimitRow(snapshot=state)


def _asked(asker: Asker) -> list[Any]:
    """An asker, as a row records it."""
    asked = [asker.token, asker.priority, asker.fairness, asker.seconds]
    return asked if asker.reports else [*asked, False]


def _fields(asker: Asker) -> list[Any]:
    fields = [asker.token, asker.priority, asker.fairness, asker.seconds, asker.since]
    return fields if asker.reports else [*fields, False]


def _without(waiting: Mapping[str, Asker], gone: Collection[str]) -> Mapping[str, Asker]:
    """`waiting` without the tokens in `gone`; the same mapping if none of them waits, as is usual."""
    left = {token for token in gone if token in waiting}
    return {token: asker for token, asker in waiting.items() if token not in left} if left else waiting


def _loaded(state: Mapping[str, Any]) -> LimitState:
    """The state of a snapshot."""
    holders = [Holder(Asker(*fields), at, tuple(by)) for *fields, at, by in state["holders"]]
    waiting = [Asker(*fields) for fields in state["waiting"]]
    return LimitState(
        declared=Declared.load(state["declared"]),
        declared_at=state["declared_at"],
        changed=state["changed"],
        holders={holder.asker.token: holder for holder in holders},
        waiting={asker.token: asker for asker in waiting},
        turns={fairness: number for fairness, number in state["turns"]},
        granted=state["granted"],
        ended=dict.fromkeys(state["ended"]),
        next_free=state["next_free"],
        watch=state["watch"],
    )


def _newest(items: dict[Any, Any]) -> dict[Any, Any]:
    return items if len(items) <= RECENT else dict(list(items.items())[-RECENT:])
