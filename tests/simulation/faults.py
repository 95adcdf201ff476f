"""What goes wrong, and when: decided by the seed and the place, so that one fault less leaves others as they are."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Literal

from botocore.exceptions import ClientError, ReadTimeoutError

from worldflow.engine.errors import WorldflowError

Fault = Literal[
    "crash before a call",
    "crash after a call",
    "crash between two sends",
    "unknown outcome, no effect",
    "unknown outcome, took effect",
    "request repeated by the client",
    "throttled",
    "batch sent in part",
    "acknowledgement lost",
    "delivered twice",
    "schedule fires twice",
    "copy after the deduplication window",
    "outlives its visibility",
    "killed in a step",
    "slow step",
    "step hangs",
    "other work meanwhile",
    "warm process lost",
    "asked twice",
    "collection",
]

RATES: dict[Fault, tuple[float, ...]] = {
    "crash before a call": (0.01, 0.03, 0.08),
    "crash after a call": (0.01, 0.03, 0.08),
    "crash between two sends": (0.05, 0.3),
    "unknown outcome, no effect": (0.01, 0.05),
    "unknown outcome, took effect": (0.01, 0.05),
    "request repeated by the client": (0.01, 0.05, 0.15),
    "throttled": (0.01, 0.05),
    "batch sent in part": (0.02, 0.2),
    "acknowledgement lost": (0.02, 0.1),
    "delivered twice": (0.05, 0.3),
    "schedule fires twice": (0.3, 0.7),
    "copy after the deduplication window": (0.02, 0.1),
    "outlives its visibility": (0.005, 0.02, 0.06),
    "killed in a step": (0.03, 0.15),
    "slow step": (0.05, 0.2),
    "step hangs": (0.05, 0.2),
    "other work meanwhile": (0.05, 0.15, 0.3),
    "warm process lost": (0.01, 0.05, 0.3),
    "asked twice": (0.1, 0.5),
    "collection": (0.2, 0.5),
}
"""How often each kind strikes where it can: a seed takes one of these, or none."""

READING: tuple[Fault, ...] = ("crash before a call", "unknown outcome, no effect", "throttled")
WRITING: tuple[Fault, ...] = (
    "crash before a call",
    "crash after a call",
    "unknown outcome, no effect",
    "unknown outcome, took effect",
    "request repeated by the client",
    "throttled",
)
SENDING: tuple[Fault, ...] = (*WRITING, "batch sent in part", "copy after the deduplication window")


class Crash(BaseException):
    """The process is gone. Nobody catches it."""


class TimedOut(ReadTimeoutError):
    """Nobody knows whether the request took effect."""

    def __init__(self) -> None:
        super().__init__(endpoint_url="https://simulated.amazonaws.com")


class Throttled(ClientError):
    """The request had no effect."""

    def __init__(self, operation: str) -> None:
        super().__init__({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, operation)


class SentInPart(WorldflowError):
    """What `AWSWorld` raises when a batch was not taken whole."""


INJECTED = (TimedOut, Throttled, SentInPart)


class Faults:
    """Which fault strikes where. A place is named, and strikes are counted by kind."""

    def __init__(self, seed: int, chance: random.Random, suppressed: Collection[str] = ()) -> None:
        """
        suppressed: the keys of faults that do not happen after all.
        """
        self._salt = seed.to_bytes(8, "little", signed=True)
        self._suppressed = frozenset(suppressed)
        self._places: Counter[str] = Counter()
        self.active = True
        self.injected: Counter[str] = Counter()
        self.struck: list[str] = []
        """The keys of the faults that happened, in order."""
        keep = chance.choice([0.2, 0.5, 0.8])
        factor = chance.choice([0.5, 1.0, 2.0])
        self.rates: dict[Fault, float] = {
            kind: chance.choice(rates) * factor for kind, rates in RATES.items() if chance.random() < keep
        }

    def strike(self, place: str, kinds: Iterable[Fault]) -> Fault | None:
        """The fault that strikes at a place this time, if one does."""
        if not self.active:
            return None
        draw = self.fraction(place)
        for kind in kinds:
            rate = self.rates.get(kind, 0.0)
            if draw < rate:
                key = f"{place} {self._places[place]}: {kind}"
                if key in self._suppressed:
                    return None
                self.injected[kind] += 1
                self.struck.append(key)
                return kind
            draw -= rate
        return None

    def fraction(self, place: str) -> float:
        """A number from 0 to 1 that depends on the seed, the place, and how often it was asked for."""
        self._places[place] += 1
        text = f"{place}#{self._places[place]}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=7, key=self._salt).digest(), "little") / (1 << 56)
