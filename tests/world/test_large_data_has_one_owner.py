"""Whatever a run refers to is its own: data that comes from another run is copied before it is referred to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.support.systems import AWSSystem, System, finish, signal, start
from worldflow import FatalError, continue_as_new, step, wait_for_signal, workflow
from worldflow.engine.history import dump_events
from worldflow.runtime import firing, schedules, sending, starting
from worldflow.worlds.messages import FactArrived, ScheduleDue

LARGE = "x" * 70_000

broken = True


@step
async def enlarge() -> str:
    return LARGE


@step
async def break_down() -> None:
    if broken:
        raise FatalError("broken")


@workflow
async def gives_back(text: str) -> str:
    return text


@workflow
async def hands_on(text: str) -> str:
    return await gives_back(text)


@workflow
async def fails_with(text: str) -> None:
    raise FatalError(text)


@workflow
async def hands_on_what_fails(text: str) -> str:
    try:
        await fails_with(text)
    except FatalError as error:
        return f"caught: {error}"
    return "nothing"


@workflow
async def goes_on(text: str, again: bool = True) -> list[str]:
    if again:
        await wait_for_signal("go")
        continue_as_new(text=text, again=False)
    return [text, await wait_for_signal("late", str)]


@workflow
async def waits_with_large_data(text: str) -> list[str]:
    result = await enlarge()
    said = await wait_for_signal("said", str)
    await break_down()
    return [text, result, said]


@workflow
async def takes_large_signals(text: str) -> list[str]:
    return [text, await wait_for_signal("said", str)]


@pytest.fixture(params=["memory", "aws"])
def system(request: pytest.FixtureRequest) -> Iterator[System]:
    """Each World, seen by whatever it holds when the test is over: every reference in it is its owner's."""
    from tests.support.systems import local_system

    if request.param == "aws":
        system: System = request.getfixturevalue("aws")
        yield system
        check_owners(system)
    else:
        with local_system(":memory:") as system:
            yield system
            check_owners(system)


def check_owners(system: System) -> None:
    world = system.world
    runs = [record.run_id for record in world.list_runs(limit=100).runs]
    foreign, own = [], 0
    for run_id in runs:
        record = world.get_run(run_id)
        assert record
        text = record.model_dump_json() + dump_events(world.load_history(run_id))
        for key in re.findall(r'"\$payload":"([^"]+)"', text):
            world.get_payload(key)
            own += 1
            if key.rpartition("/")[0] != run_id:
                foreign.append(f"{run_id} refers to {key}")
    assert own
    assert not foreign


def test_a_childs_input_and_result(system: System) -> None:
    start(system, "r", hands_on, text=LARGE)

    assert finish(system, "r").result == LARGE


def test_what_a_generation_leaves_to_the_next(system: System) -> None:
    start(system, "r", goes_on, text=LARGE)
    signal(system, "r", "late", LARGE)
    signal(system, "r", "go")

    assert finish(system, "r~2").result == [LARGE, LARGE]


def test_a_signal_that_is_sent_on_to_the_next_generation(system: System) -> None:
    world = system.world
    start(system, "r", goes_on, text=LARGE)
    # The second comes when the run has gone on, since it stands behind the first in the queue.
    sending.signal(world, "r", "go")
    sending.signal(world, "r", "late", LARGE)
    system.settle()

    assert finish(system, "r~2").result == [LARGE, LARGE]


def test_a_run_in_place_of_one_that_has_ended(system: System) -> None:
    for _ in range(2):
        starting.start(system.world, "r", gives_back, {"text": LARGE}, reuse="allow")
        system.settle()

    assert finish(system, "r~2").result == LARGE


def test_a_run_that_is_started_for_a_signal_that_came_too_late(system: System) -> None:
    for number in range(2):
        starting.signal_with_start(
            system.world,
            "r",
            takes_large_signals,
            {"text": LARGE},
            name="said",
            value=f"{number}{LARGE}",
            signal_id=f"{number}",
        )
    system.settle()

    assert finish(system, "r").result == [LARGE, f"0{LARGE}"]
    assert finish(system, "r~2").result == [LARGE, f"1{LARGE}"]


def test_a_fork(system: System) -> None:
    start(system, "r", waits_with_large_data, text=LARGE)
    starting.fork(system.world, "r", "other", after=system.world.load_history("r")[-1].seq)
    system.settle()
    signal(system, "other", "said", "no")

    assert system.world.read_events("other")[0].payload["input"] == {"text": LARGE}


def test_a_retry(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    start(system, "r", waits_with_large_data, text=LARGE)
    signal(system, "r", "said", LARGE)
    assert finish(system, "r").status == "failed"
    monkeypatch.setattr("tests.world.test_large_data_has_one_owner.broken", False)

    starting.retry(system.world, "r")

    assert finish(system, "r~2").result == [LARGE, LARGE, LARGE]


def test_a_run_of_a_schedule(system: System) -> None:
    world = system.world
    record, _ = schedules.create(world, "daily", gives_back, {"text": LARGE}, schedule="rate(1 day)")
    due = ScheduleDue(schedule_id="daily", due=record.created_at.replace(microsecond=0))
    firing.fire(world, due)
    system.settle()

    assert finish(system, due.run_id).result == LARGE


def test_a_copy_is_made_on_s3_and_by_nobody_who_reads_it(aws: AWSSystem) -> None:
    start(aws, "r", goes_on, text=LARGE)
    sending.signal(aws.world, "r", "go")
    before = len(aws.stack.requests)
    aws.poll("runs")

    asked: list[Any] = aws.stack.requests[before:]
    assert asked.count("s3.CopyObject") == 1
    assert not any(isinstance(message, FactArrived) for message in aws.stack.messages("runs"))


class Backwards:
    """A codec that is as good as none, except that it knows for which run it encoded."""

    def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        return context["run_id"].encode() + b"|" + data[::-1]

    def decode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        run_id, _, rest = data.partition(b"|")
        assert run_id.decode() == context["run_id"]
        return rest[::-1]


def test_encoded_data_and_failures(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.world, "codec", Backwards())
    monkeypatch.setattr(system.world, "inline_limit", 100)
    start(system, "r", hands_on, text=LARGE)
    start(system, "s", hands_on_what_fails, text=LARGE)

    assert finish(system, "r").result == LARGE
    assert finish(system, "s").result == f"caught: {LARGE}"
