"""A workflow begins anew: its arguments, and what nobody has read, go with it."""

import asyncio
from typing import Any

import pytest

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import (
    InvalidInputError,
    OutsideError,
    SerializationError,
    continue_as_new,
    create_hook,
    now,
    on_update,
    sleep,
    wait_for_signal,
    workflow,
    workflow_info,
)
from worldflow.engine.history import RunContinued, RunFailed, SignalReceived, UpdateReceived
from worldflow.engine.workflow import inbox


@workflow
async def counting(n: int = 1, got: list[Any] | None = None, *, limit: int = 3) -> list[Any]:
    got = [*(got or []), await wait_for_signal("s")]
    if n == limit:
        return got
    continue_as_new(n + 1, got, limit=limit)


def test_it_ends_the_run_with_the_arguments_of_the_next(drive: Drive):
    run = drive(counting, limit=2)
    run.signal("s", "a")
    (ended,) = run.decisions
    assert isinstance(ended, RunContinued)
    assert ended.next_run_id == "run-1~2"
    assert ended.input == {"n": 2, "got": ["a"], "limit": 2}
    assert ended.carried is None


def test_generation_after_generation(drive: Drive):
    run = drive(counting)
    for value in ("a", "b"):
        run.signal("s", value)
        run = run.next_generation()
    assert run.run_id == "run-1~3"
    run.signal("s", "c")
    assert run.result() == ["a", "b", "c"]


@workflow
async def slowly(got: list[Any]) -> list[Any]:
    await work()
    got = [*got, await wait_for_signal("s")]
    if len(got) == 4:
        return got
    continue_as_new(got)


def test_later_signals_come_after_those_that_were_carried(drive: Drive):
    run = drive(slowly, [])
    for value in (0, 1):
        run.signal("s", value)
    run.complete(work)
    run = run.next_generation()
    run.signal("s", 2)
    run.complete(work)
    run = run.next_generation()
    run.complete(work)
    run = run.next_generation()
    run.signal("s", 3)
    run.complete(work)
    assert run.result() == [0, 1, 2, 3]


def test_what_was_received_before_is_known_in_every_generation(drive: Drive):
    run = drive(counting)
    first = SignalReceived(signal_id="x", name="s", value=1)
    run.feed(first)
    for signal_id in ("y", "z"):
        run = run.next_generation()
        assert not run.state.accepts(first)
        if signal_id == "y":
            run.feed(SignalReceived(signal_id=signal_id, name="s", value=2))


def test_no_more_ids_are_remembered_than_a_record_can_hold(drive: Drive, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inbox, "REMEMBERED", 3)
    run = drive(counting)
    for generation in (1, 2):
        for _ in range(4):
            run.signal("other")
        run.signal("s")
        assert isinstance(run.state.ended, RunContinued)
        last = 5 * generation
        assert run.state.ended.seen == [f"signal/signal-{n}" for n in (last - 2, last - 1, last)]
        run = run.next_generation()


def test_updates_that_no_handler_took_go_with_it(drive: Drive):
    @workflow
    async def later(n: int) -> int:
        if n == 1:
            await sleep(10)
            continue_as_new(2)
        on_update("n")(lambda value: value + 1)
        await sleep(10)
        return n

    run = drive(later, 1)
    update = run.update("n", 41)
    run.fire()
    run = run.next_generation()
    assert run.reply(update) == 42
    assert not run.state.accepts(UpdateReceived(update_id="update-1", name="n"))


def test_steps_timers_and_hooks_stay_behind(drive: Drive):
    @workflow
    async def leaving(n: int) -> None:
        if n == 1:
            create_hook(token="t")
            rest = [asyncio.ensure_future(work()), asyncio.ensure_future(sleep(100))]
            await sleep(1)
            continue_as_new(n + len(rest))
        await sleep(1)

    run = drive(leaving, 1)
    run.fire("t1")
    assert run.decided == ["RunContinued"]
    run = run.next_generation()
    assert run.decided == ["TimerStarted t1"]
    assert run.state.hooks == run.state.steps == {}


def test_its_clock_and_its_id_are_the_generations_own(drive: Drive):
    @workflow
    async def telling(before: list[Any]) -> list[Any]:
        info = workflow_info()
        told = [*before, info.run_id, info.started_at == now(), info.history_length]
        await sleep(60)
        if len(told) < 6:
            continue_as_new(told)
        return told

    run = drive(telling, [])
    run.fire()
    run = run.next_generation()
    run.fire()
    assert run.result() == ["run-1", True, 1, "run-1~2", True, 1]


# --- where it is called ---


async def deep_down(n: int) -> None:
    continue_as_new(n)


@pytest.mark.parametrize("how", ["helper", "finally", "group", "task of a group", "timeout", "except", "gathered"])
def test_from_wherever_the_workflow_waits(drive: Drive, how: str):
    @workflow
    async def nested(n: int) -> int:
        if n:
            return n
        match how:
            case "helper":
                await deep_down(1)
            case "finally":
                try:
                    raise ValueError
                finally:
                    await deep_down(1)
            case "except":
                try:
                    await deep_down(1)
                except Exception:
                    return -1
            case "group":
                async with asyncio.TaskGroup() as group:
                    group.create_task(sleep(100))
                    await sleep(0)
                    await deep_down(1)
            case "task of a group":
                async with asyncio.TaskGroup() as outer:

                    async def inner() -> None:
                        async with asyncio.TaskGroup() as group:
                            group.create_task(deep_down(1))

                    outer.create_task(inner())
            case "timeout":
                async with asyncio.timeout(10):
                    await deep_down(1)
            case "gathered":
                await asyncio.gather(sleep(100), deep_down(1))
        return -1

    run = drive(nested, 0)
    assert run.decided[-1] == "RunContinued"
    assert run.next_generation().result() == 1


def test_with_another_failure_in_the_group_the_run_fails_of_both(drive: Drive):
    @workflow
    async def torn() -> None:
        async def cleaning() -> None:
            try:
                await sleep(100)
            finally:
                raise ValueError("cleaning up failed")

        async with asyncio.TaskGroup() as group:
            group.create_task(cleaning())
            await sleep(0)
            continue_as_new()

    run = drive(torn)
    assert isinstance(run.state.ended, RunFailed)
    assert "ValueError" in str([member.type for member in run.state.ended.error.members])


def test_cleaning_up_may_take_steps(drive: Drive):
    @workflow
    async def tidy(n: int) -> None:
        try:
            continue_as_new(n + 1)
        finally:
            await work("tidy")

    run = drive(tidy, 1)
    assert run.open_steps() == ["s1"]
    run.complete(work)
    assert run.decided == ["RunContinued"]


def test_a_cancelled_run_may_go_on(drive: Drive):
    @workflow
    async def stubborn(n: int) -> None:
        try:
            await sleep(100)
        except asyncio.CancelledError:
            continue_as_new(n + 1)

    run = drive(stubborn, 1)
    run.cancel()
    assert run.decided == ["TimerCancelled t1", "RunContinued"]
    assert not run.next_generation().state.cancel_requested


@pytest.mark.parametrize(("args", "kwargs"), [((), {"x": 1}), ((1, [], 5), {}), (("many",), {})])
def test_arguments_that_do_not_fit_fail_the_run_and_start_nothing(drive: Drive, args: Any, kwargs: Any):
    @workflow
    async def wrong(n: int = 1, got: list[Any] | None = None) -> None:
        continue_as_new(*args, **kwargs)

    run = drive(wrong)
    assert run.decided == ["RunFailed"]
    with pytest.raises((TypeError, InvalidInputError, SerializationError)):
        run.result()


def test_outside_a_workflow_there_is_nothing_to_continue():
    with pytest.raises(OutsideError):
        continue_as_new()
