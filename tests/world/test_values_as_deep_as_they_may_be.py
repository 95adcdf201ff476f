"""A value that is accepted anywhere is carried everywhere, however deep: into arguments, results and generations."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.support.systems import AWSSystem, finish
from worldflow import RetryPolicy, SerializationError, continue_as_new, step, wait_for_signal, workflow
from worldflow.engine.values.serialization import Codec
from worldflow.runtime import sending, starting

ANYTHING = Codec(Any, "value")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def deepest() -> int:
    """The most levels that a value may have by itself."""
    for levels in range(100, 300):
        try:
            ANYTHING.encode(deep(levels + 1))
        except SerializationError:
            return levels
    raise AssertionError("nothing is too deep")


@step(name="deep_echo", retry=RetryPolicy(max_attempts=1))
async def echo(value: Any) -> Any:
    return value


@workflow(name="deep_child")
async def child(value: Any) -> Any:
    return value


@workflow(name="deep_ways")
async def ways(way: str, levels: int, again: Any = None) -> str:
    match way:
        case "step":
            await echo(deep(levels))
        case "inline step":
            await echo.options(inline=True)(deep(levels))
        case "child":
            await child(deep(levels))
        case "generation" if again is None:
            continue_as_new(way, levels, deep(levels))
        case "carried" if again is None:
            await wait_for_signal("go")
            continue_as_new(way, levels, 1)
        case "carried":
            await wait_for_signal("deep")
    return "done"


WAYS = ["step", "inline step", "child", "generation", "carried"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("less", [0, 1, 2])
def test_a_run_carries_it_or_fails_of_it(aws: AWSSystem, way: str, less: int) -> None:
    levels = deepest() - less
    starting.start(aws.world, "r", ways, {"way": way, "levels": levels})
    aws.settle()
    if way == "carried":
        sending.signal(aws.world, "r", "deep", deep(levels))
        sending.signal(aws.world, "r", "go")
    record = finish(aws, "r")
    if record.status == "continued":
        record = finish(aws, "r~2")

    assert record.status == "completed" or (record.error and record.error.type.endswith(":SerializationError"))


@pytest.mark.parametrize("less", [0, 1, -1], ids=["the deepest", "one less", "one more"])
def test_who_starts_a_run_with_it_is_told(aws: AWSSystem, less: int) -> None:
    try:
        starting.start(aws.world, "r", child, {"value": deep(deepest() - less)})
    except SerializationError:
        assert aws.stack.is_untouched()
    else:
        assert finish(aws, "r").status == "completed"
