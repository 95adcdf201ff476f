"""A limit that makes no sense is refused where it is written, and the error says what would."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.crashes import CrashingWorld
from worldflow import ConfigurationError, InvalidInputError, Limit, step
from worldflow.runtime.limits import set_limit


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs a concurrency, a rate or both"),
        ({"concurrency": 0}, "concurrency must be an integer of at least 1, not 0"),
        ({"concurrency": True}, "concurrency must be an integer"),
        ({"rate": "often"}, "rate must be a number per duration, such as '500/1m', not 'often'"),
        ({"rate": "0/1m"}, "rate must be greater than zero"),
        ({"rate": "5/-1m"}, "rate must be a number per duration, such as '500/1m', not '5/-1m'"),
        ({"rate": "1/400d"}, "rate must be per 366 days at the longest"),
        ({"concurrency": 1, "burst": 2}, "burst only makes sense with a rate"),
        ({"rate": "1/1s", "burst": 0}, "burst must be an integer of at least 1"),
        ({"concurrency": 1, "key": "tenant"}, "key must be a function of the call's arguments"),
        ({"concurrency": 1, "excess": "drop"}, "excess must be queue, skip, cancel_oldest or fail"),
        ({"rate": "1/1s", "approximate": True}, "approximate=True limits concurrency only"),
    ],
)
def test_of_a_limit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Limit("wrong", **options)


def test_of_a_name() -> None:
    with pytest.raises(ConfigurationError, match="up to 100 letters"):
        Limit("two words", concurrency=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 3}, "limit takes a Limit"),
        ({"limit": Limit("wrong", concurrency=1), "inline": True}, "a limited step cannot be inline"),
        ({"limit": Limit("wrong", concurrency=1, excess="skip")}, "excess='skip' is for workflows"),
        ({"limit": Limit("wrong", concurrency=1), "priority": "high"}, "the lowest goes first"),
        ({"limit": Limit("wrong", concurrency=1), "fairness": "tenant"}, "fairness takes a function"),
        ({"priority": 1}, "add limit=Limit"),
    ],
)
def test_of_a_step(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        step(name="wrongly_limited", **options)(lambda: None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurrency": -1}, "at least 0"),
        ({"rate": "often"}, "a number per duration"),
        ({"burst": 2}, "together with a rate"),
        ({}, "give concurrency, rate or reset"),
    ],
)
def test_of_what_an_operator_sets(options: dict[str, Any], message: str, world: CrashingWorld) -> None:
    with pytest.raises(InvalidInputError, match=message):
        set_limit(world, "any", **options)
