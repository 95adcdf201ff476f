"""A fork that has other data in its history, on every World."""

from __future__ import annotations

import pytest

from tests.support.systems import System, finish, start
from worldflow import RunExistsError, step, workflow
from worldflow.engine.history import RunForked, StepCompleted, StepScheduled
from worldflow.runtime import starting
from worldflow.worlds import reading

LARGE = "large " * 30_000


@step
async def asks_world(prompt: str) -> str:
    return f"<{prompt[:20]}>"


@workflow
async def edited_on_worlds(prompt: str) -> list[str]:
    first = await asks_world(prompt)
    return [first, await asks_world(first)]


def completed(system: System, nth: int = 0) -> int:
    return [event.seq for event in system.world.load_history("r") if isinstance(event, StepCompleted)][nth]


@pytest.fixture
def original(system: System) -> System:
    start(system, "r", edited_on_worlds, prompt=LARGE)
    assert finish(system, "r").result == ["<large large large la>", "<<large large large l>"]
    return system


def test_a_result(original: System) -> None:
    starting.fork(original.world, "r", "copy", edit={completed(original): "edited"})
    assert finish(original, "copy").result == ["edited", "<edited>"]


def test_a_large_result_that_the_fork_owns(original: System) -> None:
    world = original.world
    starting.fork(world, "r", "copy", edit={completed(original): LARGE})
    record = finish(original, "copy")
    assert record.result == [LARGE, "<large large large la>"]
    stored = reading.find_history(world, "copy") or []
    (forked,) = [event for event in stored if isinstance(event, RunForked)]
    owners = {event.result["$payload"].partition("/")[0] for event in stored if isinstance(event, StepCompleted)
              if isinstance(event.result, dict)}  # fmt: skip
    assert owners == {"copy"}
    assert forked.edit["$payload"].startswith("copy/")
    full = next(event for event in world.read_events("copy") if isinstance(event, RunForked))
    assert full.edit == {str(completed(original)): LARGE}


def test_one_argument_of_a_step_whose_others_are_large(original: System) -> None:
    asked = next(event.seq for event in original.world.load_history("r") if isinstance(event, StepScheduled))
    starting.fork(original.world, "r", "copy", edit={asked: {"prompt": "short"}})
    assert finish(original, "copy").result == ["<short>", "<<short>>"]
    starting.fork(original.world, "r", "whole", edit={asked: {}})
    assert finish(original, "whole").result == ["<large large large la>", "<<large large large l>"]


def test_the_same_request_is_one_run_and_another_is_refused(original: System) -> None:
    seq = completed(original)
    for _ in range(2):
        starting.fork(original.world, "r", "copy", edit={seq: "edited"})
    with pytest.raises(RunExistsError):
        starting.fork(original.world, "r", "copy", edit={seq: "otherwise"})
    assert finish(original, "copy").result == ["edited", "<edited>"]
    starting.fork(original.world, "r", "copy", edit={seq: "edited"})  # also when it has begun


def test_the_input_of_a_retry(system: System) -> None:
    starting.start(system.world, "r", "edited_on_worlds", {"prompt": 1})
    assert finish(system, "r").status == "failed"
    assert starting.retry(system.world, "r", {"prompt": LARGE}).run_id == "r~2"
    record = finish(system, "r~2")
    assert (record.status, record.input) == ("completed", {"prompt": LARGE})
