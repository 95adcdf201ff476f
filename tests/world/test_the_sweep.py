"""Runs that nobody would wake any more are woken, and healthy ones are left as they are."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta

import pytest

from tests.support.systems import AWSSystem, System, finish, signal, skip, start, story
from worldflow import sleep, step, wait_for_signal, workflow
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import starting
from worldflow.runtime.sweep import PENDING_AFTER, PENDING_UNTIL, sweep
from worldflow.turns.observer import SweepReport
from worldflow.turns.turns import Turns
from worldflow.worlds import World, items
from worldflow.worlds.aws.items import SHARDS
from worldflow.worlds.messages import Poke, Start

DAY = timedelta(days=1)


@step
async def double(n: int) -> int:
    return 2 * n


@workflow
async def doubles(n: int) -> int:
    return await double(n)


@workflow
async def waits() -> str:
    return await wait_for_signal("go")


async def released() -> str:
    return "released"


@workflow
async def sleeps() -> str:
    await sleep("40d")
    return "slept"


def go_on(system: System, time: timedelta) -> None:
    system.clock.forward(system.clock.now() + time)


def lose_messages(system: System) -> None:
    """What is in the queues now never comes."""
    for queue in ("runs", "steps"):
        while received := system.receive(queue):
            system.acknowledge(received)


def sweep_a_day(system: System) -> SweepReport:
    whole = SweepReport()
    for _ in range(24):
        # The schedule has a minute, far from the full hour: between two sweeps no hour is passed over.
        system.clock.forward((system.clock.now() + timedelta(hours=1)).replace(minute=17))
        report = sweep(system.world)
        whole.poked += report.poked
        whole.started += report.started
    return whole


def test_a_run_whose_start_was_lost_is_started(system: System) -> None:
    starting.start(system.world, "r", doubles, {"n": 4})
    lose_messages(system)
    go_on(system, PENDING_AFTER)

    assert sweep(system.world) == SweepReport(open_runs=1, started=1)
    assert finish(system, "r").result == 8


@pytest.mark.time_of_day(system=["memory", "aws"])
def test_one_whose_start_may_still_be_under_way_is_left_alone(system: System) -> None:
    starting.start(system.world, "r", doubles, {"n": 4})
    go_on(system, PENDING_AFTER - timedelta(seconds=5))

    assert sweep(system.world) == SweepReport(open_runs=1)


def test_one_that_has_begun_is_not_started_again(system: System) -> None:
    start(system, "r", waits)
    go_on(system, PENDING_AFTER)

    assert sweep(system.world) == SweepReport(open_runs=1)


@pytest.mark.time_of_day(system=["memory"])
def test_a_run_whose_step_was_lost_goes_on_within_a_day(system: System) -> None:
    starting.start(system.world, "r", doubles, {"n": 4})
    Turns(system.world).take("r", [Start(run_id="r")])
    lose_messages(system)
    go_on(system, PENDING_UNTIL)

    assert sweep_a_day(system).poked == 1
    assert finish(system, "r").result == 8


def test_every_open_run_is_poked_once_a_day(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        starting.start(system.world, f"r{number}", waits)
    system.settle()
    go_on(system, PENDING_UNTIL)
    poked: list[str] = []
    send = system.world.send

    def note(messages):
        poked.extend(message.run_id for message in messages if isinstance(message, Poke))
        send(messages)

    monkeypatch.setattr(system.world, "send", note)
    sweep_a_day(system)

    assert sorted(poked) == sorted(f"r{number}" for number in range(40))


@pytest.mark.time_of_day(system=["memory"])
def test_a_healthy_run_is_not_disturbed(system: System) -> None:
    start(system, "asleep", sleeps)
    start(system, "waiting", waits)
    before = {run_id: story(system, run_id) for run_id in ("asleep", "waiting")}
    go_on(system, PENDING_UNTIL)
    for _ in range(24):
        go_on(system, timedelta(hours=1))
        sweep(system.world)
        system.settle()

    assert {run_id: story(system, run_id) for run_id in before} == before
    signal(system, "waiting", "go", "gone")
    assert finish(system, "waiting").result == "gone"
    assert finish(system, "asleep").result == "slept"


@pytest.mark.time_of_day(system=["memory"])
def test_a_blocked_run_is_poked_each_hour_from_the_first(system: System) -> None:
    starting.start(system.world, "r", "no_such_workflow", {})
    system.settle()
    assert system.world.read_run("r").status == "blocked"

    assert sweep_a_day(system).poked == 24


def test_a_blocked_run_goes_on_within_the_hour(system: System) -> None:
    starting.start(system.world, "r", "of_the_next_release", {})
    system.settle()
    while system.next_due():
        skip(system)
    definitions._workflows._versions["of_the_next_release"] = {1: Workflow(released, "of_the_next_release")}
    try:
        go_on(system, timedelta(hours=1))
        assert sweep(system.world).poked == 1
        system.settle()
    finally:
        del definitions._workflows._versions["of_the_next_release"]
    assert system.world.read_run("r").result == "released"


def test_shards_that_it_had_no_time_for_come_first_in_another_hour(aws: AWSSystem) -> None:
    """Whatever the hour that a run is due in: a pass that only ever gets through one shard gets to all in some days."""
    for number in range(40):
        starting.start(aws.world, f"r{number}", waits)
    reached: dict[int, set[int]] = {}
    for _ in range(24 * SHARDS):
        go_on(aws, timedelta(hours=1))
        first = next(iter(aws.world.walk_runs("running"))).run_id
        reached.setdefault(aws.clock.now().hour, set()).add(zlib.crc32(first.encode()) % SHARDS)
    assert reached == {hour: set(range(SHARDS)) for hour in range(24)}


def test_all_shards_are_walked_whichever_comes_first(aws: AWSSystem) -> None:
    for number in range(40):
        starting.start(aws.world, f"r{number}", waits)
    for _ in range(SHARDS):
        go_on(aws, timedelta(hours=1))
        walked = [record.run_id for record in aws.world.walk_runs("running")]
        assert sorted(walked) == sorted(f"r{number}" for number in range(40))


def test_runs_that_have_ended_are_not_looked_at(system: System) -> None:
    start(system, "r", doubles, n=1)
    finish(system, "r")
    go_on(system, DAY)

    assert sweep(system.world) == SweepReport()


def test_a_run_that_was_to_take_anothers_place_does(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked for it died after its record was made, and before the other was told to end."""
    start(system, "r", waits)
    with monkeypatch.context() as patch:
        patch.setattr(system.world, "send", _die)
        patch.setattr(system.world, "together", nullcontext)
        with pytest.raises(KeyboardInterrupt):
            starting.start(system.world, "r", waits, {}, if_running="terminate_existing")
    go_on(system, PENDING_AFTER)

    assert sweep(system.world).started == 1
    system.settle()
    assert system.world.read_run("r").status == "cancelled"
    assert system.world.read_run("r~2").status == "running"
    assert system.world.load_history("r~2")


@pytest.mark.parametrize("found_after", [PENDING_AFTER, PENDING_UNTIL])
def test_a_generation_that_nobody_was_told_of_is_found(
    system: System, monkeypatch: pytest.MonkeyPatch, found_after: timedelta
) -> None:
    """Who asked for it died before it could say that it is the newest."""
    start(system, "r", doubles, n=1)
    with monkeypatch.context() as patch:
        patch.setattr(items, "put_generation", lambda *_: _die(None))
        patch.setattr(system.world, "together", nullcontext)
        with pytest.raises(KeyboardInterrupt):
            starting.start(system.world, "r", doubles, {"n": 2}, reuse="allow")
    go_on(system, found_after)

    sweep_a_day(system)
    system.settle()
    assert items.get_generation(system.world, "r") == 2
    assert system.world.read_run("r~2").result == 4


def _die(_: object) -> None:
    raise KeyboardInterrupt


def test_when_time_runs_out_it_says_so(world: World) -> None:
    for number in range(120):
        starting.start(world, f"r{number}", waits)

    report = sweep(world, out_of_time=lambda: True)

    assert report.open_runs == 100
    assert not report.complete


@pytest.fixture
def requests_made(aws: AWSSystem) -> Iterator[list[str]]:
    made: list[str] = []

    def note(model, **_):
        made.append(f"{model.service_model.service_name}.{model.name}")

    for client in (aws.world.access.dynamodb, aws.world.access.sqs):
        client.meta.events.register("before-call", note)
    yield made
    for client in (aws.world.access.dynamodb, aws.world.access.sqs):
        client.meta.events.unregister("before-call", note)


@pytest.mark.time_of_day(hour=[0])
@pytest.mark.parametrize("hour", [0, 6, 12, 18])
def test_what_it_costs(aws: AWSSystem, requests_made: list[str], hour: int) -> None:
    """Two queries a shard, which has many runs, and a send for ten pokes."""
    for number in range(80):
        starting.start(aws.world, f"r{number}", waits)
    aws.settle()
    go_on(aws, DAY)  # long enough for a turn to look whether the run was archived meanwhile
    aws.clock.forward((aws.clock.now() + DAY).replace(hour=hour))
    requests_made.clear()

    report = sweep(aws.world)

    assert requests_made.count("dynamodb.Query") == 2 * 8
    assert requests_made.count("sqs.SendMessageBatch") == -(-report.poked // 10)
    assert len(requests_made) == 16 + -(-report.poked // 10)
    assert 0 < report.poked < 20

    aws.restart()
    requests_made.clear()
    aws.settle()
    turns = dict.fromkeys(("dynamodb.Query", "dynamodb.GetItem", "dynamodb.PutItem"), report.poked)
    assert Counter(requests_made) == turns
