"""Runs of a throttled workflow begin no faster than its rate, in order; none is dropped."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.crashes import Crashes, CrashingWorld, When, die_at_each_call, persist, serve, settle, whole_history
from worldflow import ConfigurationError, Throttle, continue_as_new, workflow
from worldflow.engine.history import RunStarted
from worldflow.runtime import sending, starting
from worldflow.worlds import throttling

pytestmark = pytest.mark.usefixtures("quiet")


@workflow(throttle=Throttle("6/1m"))
async def throttled_plainly(generations: int = 1) -> None:
    if generations > 1:
        continue_as_new(generations - 1)


@workflow(throttle=Throttle("6/1m", burst=3))
async def throttled_with_a_burst() -> None: ...


@workflow(throttle=Throttle("6/1m", key=lambda priority, tenant: tenant))
async def throttled_by_tenant(priority: int, tenant: str = "none") -> None: ...


@workflow
async def starts_throttled_children(count: int) -> None:
    for _ in range(count):
        await throttled_plainly()


def began(world: CrashingWorld, *run_ids: str) -> list[float]:
    """When runs began, in seconds after the first."""
    events = [world.read_events(run_id)[0] for run_id in run_ids]
    assert all(isinstance(event, RunStarted) for event in events)
    return [round((event.at - events[0].at).total_seconds(), 1) for event in events]


def start_many(world: CrashingWorld, flow: Any, *run_ids: str, **arguments: Any) -> None:
    for run_id in run_ids:
        starting.start(world, run_id, flow, arguments)


def test_they_begin_evenly_spaced(world: CrashingWorld) -> None:
    start_many(world, throttled_plainly, "a", "b", "c")
    settle(world)
    assert [world.read_run(run_id).status for run_id in "abc"] == ["completed", "pending", "pending"]
    assert world.read_run("c").start_at is not None
    serve(world)
    assert began(world, "a", "b", "c") == [0, 10, 20]
    for run_id in "abc":
        whole_history(world, run_id, throttled_plainly)


def test_a_burst_begins_at_once(world: CrashingWorld) -> None:
    start_many(world, throttled_with_a_burst, *"abcde")
    serve(world)
    assert began(world, *"abcde") == [0, 0, 0, 10, 20]


def test_a_pause_saves_no_more_than_the_burst(world: CrashingWorld) -> None:
    start_many(world, throttled_plainly, "a")
    serve(world)
    world.time += timedelta(hours=1)
    start_many(world, throttled_plainly, "b", "c")
    serve(world)
    assert began(world, "b", "c") == [0, 10]


def test_each_key_is_throttled_for_itself(world: CrashingWorld) -> None:
    start_many(world, throttled_by_tenant, "a", "b", priority=1, tenant="one")
    start_many(world, throttled_by_tenant, "c", priority=1, tenant="two")
    start_many(world, throttled_by_tenant, "d", priority=1)
    serve(world)
    assert began(world, "a", "b", "c", "d") == [0, 10, 0, 0]


def test_children_are_throttled(world: CrashingWorld) -> None:
    starting.start(world, "r", starts_throttled_children, {"count": 3})
    serve(world)
    assert began(world, "r~c1", "r~c2", "r~c3") == [0, 10, 20]


def test_later_generations_are_not(world: CrashingWorld) -> None:
    starting.start(world, "r", throttled_plainly, {"generations": 3})
    serve(world)
    assert began(world, "r", "r~2", "r~3") == [0, 0, 0]


def test_a_delayed_run_takes_its_place_when_it_is_due(world: CrashingWorld) -> None:
    starting.start(world, "later", throttled_plainly, delay="1h")
    start_many(world, throttled_plainly, "a", "b")
    serve(world)
    assert began(world, "a", "b", "later") == [0, 10, 3600]


def test_one_that_waits_can_be_cancelled(world: CrashingWorld) -> None:
    start_many(world, throttled_plainly, "a", "b")
    settle(world)
    sending.cancel(world, "b")
    settle(world)
    assert world.read_run("b").status == "cancelled"


def test_what_it_costs(world: CrashingWorld) -> None:
    """A write for its place; for one that has to wait, another that notes it and a message."""
    start_many(world, throttled_plainly, "a")
    serve(world)
    throttled = ["create_run", "send", "reserve", "append", "update_run", "acknowledge"]
    assert world.calls == throttled
    world.calls.clear()
    start_many(world, throttled_plainly, "b")
    serve(world)
    assert world.calls == [*throttled[:3], "update_run", "send", "acknowledge", *throttled[3:]]


def test_a_key_that_raises_is_the_callers_error(world: CrashingWorld) -> None:
    with pytest.raises(ZeroDivisionError):
        starting.start(world, "r", throttled_wrongly, {"number": 0})
    assert world.get_run("r") is None


@workflow(throttle=Throttle("6/1m", key=lambda number: 1 // number))
async def throttled_wrongly(number: int) -> None: ...


def test_two_processes_get_two_places(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    rate, now, get_item = Throttle("1/10s").rate, world.now(), world.get_item
    places = []

    def meanwhile(key: str) -> Any:
        item = get_item(key)
        monkeypatch.setattr(world, "get_item", get_item)
        places.append(throttling.reserve(world, "w", "", rate, now))
        return item

    monkeypatch.setattr(world, "get_item", meanwhile)
    places.append(throttling.reserve(world, "w", "", rate, now))
    assert places[1] - places[0] == timedelta(seconds=10)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("often",), "rate must be a number per duration"),
        (("0/1m",), "rate must be greater than zero"),
        (("1/1m", {"burst": 0}), "burst must be an integer of at least 1"),
        (("1/1m", {"key": "tenant"}), "key must be a function"),
    ],
)
def test_what_is_no_throttle_is_refused(options: Any, problem: str) -> None:
    limit, *rest = options
    with pytest.raises(ConfigurationError, match=problem):
        Throttle(limit, **(rest[0] if rest else {}))


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_at_any_call(when: When) -> None:
    def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
        world = CrashingWorld(crashes)
        for run_id in "ab":
            persist(lambda run_id=run_id: starting.start(world, run_id, throttled_plainly))  # type: ignore[misc]
        serve(world, live_limit=live_limit)
        return world

    def check(world: CrashingWorld) -> None:
        assert [world.read_run(run_id).status for run_id in "ab"] == ["completed"] * 2, world.crashed
        assert abs(began(world, "a", "b")[1]) >= 10, world.crashed

    die_at_each_call(lived, check, when)
