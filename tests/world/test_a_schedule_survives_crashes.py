"""A crash between any two writes of a schedule: its run is started all the same, and once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

import pytest

from tests.support import workflows
from tests.support.schedules import create, fire_next, run_id, started, wait_for
from tests.support.systems import System
from worldflow import ScheduleNotFoundError
from worldflow.runtime import firing, schedules
from worldflow.worlds import World
from worldflow.worlds.messages import ScheduleDue
from worldflow.worlds.schedules import PREFIX, get_schedule

When = Literal["before", "after"]


class Crash(KeyboardInterrupt):
    """The process dies."""


def _name(method: str, world: World, *args: Any) -> str | None:
    """What a call of a World does to schedules, or to runs. None for an item of something else."""
    if method != "put_item":
        return method.removesuffix("_schedule")
    key, item, *_ = args
    return "put" if item and key.startswith(PREFIX) else None


@contextmanager
def crashing(system: System, number: int, when: When) -> Iterator[list[str]]:
    """Dies before or after the `number`th of the calls that change anything."""
    calls: list[str] = []

    def dying(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if not (told := _name(name, *args)):
                return method(*args, **kwargs)
            calls.append(told)
            is_here = len(calls) == number + 1
            if is_here and when == "before":
                raise Crash
            answer = method(*args, **kwargs)
            if is_here:
                raise Crash
            return answer

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("create_run", "send", "arm_schedule", "rearm_schedule", "put_item"):
            patch.setattr(type(system.world), name, dying(name, getattr(type(system.world), name)))
        patch.setattr(schedules, "remove_schedule", dying("remove_schedule", schedules.remove_schedule))
        yield calls


FIRING = ["rearm", "put", "create_run", "send", "put"]
"""What is written when a schedule is due. The run's own turn comes after."""


def test_what_is_written_when_it_is_due(system: System) -> None:
    create(system)
    with crashing(system, 1_000, "after") as calls:
        fire_next(system)

    assert calls[: len(FIRING)] == FIRING
    assert not {"put", "arm", "rearm", "remove"} & set(calls[len(FIRING) :])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(len(FIRING)))
def test_a_crash_while_it_is_due(system: System, number: int, when: When) -> None:
    create(system)
    due = schedules.get(system.world, "nightly").next_due(system.clock.now())
    assert due
    with crashing(system, number, when), pytest.raises(Crash):
        fire_next(system)
    system.restart()
    wait_for(system, seconds=100)  # what was in flight comes again

    assert [run.run_id for run in started(system.world)] == [run_id(due)]
    record = schedules.get(system.world, "nightly")
    assert (record.last_run_id, record.last_due, record.starting) == (run_id(due), due, None)
    wait_for(system, days=2)
    assert len(started(system.world)) == 3


@pytest.mark.parametrize("number", range(len(FIRING)))
def test_the_next_moment_finds_the_run_that_was_about_to_be_started(system: System, number: int) -> None:
    record = create(system, workflow=workflows.collect, input={"count": 1})
    first = record.created_at.replace(microsecond=0) + timedelta(days=1)
    messages = [ScheduleDue(schedule_id="nightly", due=first + n * timedelta(days=1)) for n in range(2)]
    with crashing(system, number, "after"), pytest.raises(Crash):
        firing.fire(system.world, messages[0])
    for message in (messages[1], messages[0]):
        firing.fire(system.world, message)
    system.settle()

    # The first that wrote is the one that started its run, and the other overlaps with it.
    (run,) = started(system.world)
    assert run.run_id == (messages[1] if number == 0 else messages[0]).run_id


def test_a_run_that_was_about_to_be_started_is_started_although_it_is_paused_now(system: System) -> None:
    create(system)
    with crashing(system, 1, "after"), pytest.raises(Crash):
        fire_next(system)
    schedules.update(system.world, "nightly", paused=True)
    system.restart()
    wait_for(system, seconds=100)

    assert len(started(system.world)) == 1


# --- its definition --------------------------------------------------------------------------------------------------


def request_again(system: System, request: Callable[[], object]) -> None:
    """Dies at each of the request's writes, and asks again as its client does; at last it is done."""
    for when in ("before", "after"):
        for number in range(2):
            with crashing(system, number, when):  # type: ignore[arg-type]
                try:
                    request()
                except Crash:
                    continue
    request()


def test_a_crash_while_it_is_created(system: System) -> None:
    request_again(system, lambda: create(system))
    wait_for(system, days=2)

    assert len(started(system.world)) == 2


def test_a_crash_while_it_is_changed(system: System) -> None:
    create(system)
    request_again(system, lambda: schedules.update(system.world, "nightly", schedule="cron(0 20 * * ? *)"))
    wait_for(system, days=2)

    assert [run.run_id[-7:-5] for run in started(system.world)] == ["20", "20"]


def test_a_crash_while_it_is_deleted(system: System) -> None:
    create(system)
    for when in ("before", "after"):
        with crashing(system, 0, when), pytest.raises(Crash):
            schedules.delete(system.world, "nightly")
    with pytest.raises(ScheduleNotFoundError):
        schedules.delete(system.world, "nightly")

    assert system.next_due() is None


# --- two at once -----------------------------------------------------------------------------------------------------


@contextmanager
def meanwhile(system: System, name: str, action: Callable[[], object]) -> Iterator[None]:
    """Another process acts just before the first call of the schedules' `name`."""
    method_name = {"put": "put_item", "arm": "arm_schedule"}[name]
    method = getattr(type(system.world), method_name)
    with pytest.MonkeyPatch.context() as patch:

        def call(*args: Any, **kwargs: Any) -> Any:
            if _name(method_name, *args) == name:
                patch.undo()
                action()
            return method(*args, **kwargs)

        patch.setattr(type(system.world), method_name, call)
        yield


def test_it_is_paused_while_it_is_due(system: System) -> None:
    create(system)
    with meanwhile(system, "put", lambda: schedules.update(system.world, "nightly", paused=True)):
        fire_next(system)

    assert started(system.world) == []
    assert schedules.get(system.world, "nightly").paused


def test_it_is_deleted_while_it_is_due(system: System) -> None:
    create(system)
    with meanwhile(system, "put", lambda: schedules.delete(system.world, "nightly")):
        fire_next(system)

    assert started(system.world) == []
    assert get_schedule(system.world, "nightly") is None


def test_it_is_changed_by_two_at_once(system: System) -> None:
    create(system)
    with meanwhile(system, "put", lambda: schedules.update(system.world, "nightly", overlap="allow")):
        schedules.update(system.world, "nightly", input={"count": 7})

    record = schedules.get(system.world, "nightly")
    assert (record.overlap, record.input) == ("allow", {"count": 7})


def test_what_is_armed_is_what_was_written_last(system: System) -> None:
    create(system)
    evening = "cron(0 20 * * ? *)"
    with meanwhile(system, "arm", lambda: schedules.update(system.world, "nightly", schedule=evening)):
        schedules.update(system.world, "nightly", schedule="cron(0 12 * * ? *)")
    wait_for(system, days=1)

    assert [run.run_id[-7:-5] for run in started(system.world)] == ["20"]


def test_it_is_deleted_while_it_is_armed(system: System) -> None:
    create(system)
    with meanwhile(system, "arm", lambda: schedules.delete(system.world, "nightly")):
        schedules.update(system.world, "nightly", paused=False)

    assert system.next_due() is None
