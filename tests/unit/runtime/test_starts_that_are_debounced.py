"""Starts of a debounced workflow that follow each other become one run, with the input of the last. None is lost, none
is in two runs, and a start that is repeated is the same start.
"""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.crashes import (
    Crash,
    Crashes,
    CrashingWorld,
    When,
    die_at_each_call,
    once,
    persist,
    serve,
    settle,
    whole_history,
)
from worldflow import ConfigurationError, Debounce, InvalidInputError, wait_for_signal, workflow
from worldflow.engine.history import RunStarted
from worldflow.runtime import Orchestrator, sending, starting
from worldflow.worlds import gathering

pytestmark = pytest.mark.usefixtures("quiet")


@workflow(debounce=Debounce("30s", max_wait="1m", key=lambda value, topic: topic))
async def debounced(value: int, topic: str = "t") -> int:
    return value


@workflow(debounce=Debounce("30s"))
async def debounced_for_ever(value: int) -> int:
    return value


@workflow(debounce=Debounce("30s"))
async def debounced_and_told(value: int) -> list[Any]:
    return [value, await wait_for_signal("word", str)]


def begin(world: CrashingWorld, run_id: str, value: int, flow: Any = debounced, **more: Any) -> str:
    return starting.start(world, run_id, flow, {"value": value, **more})[0].run_id


def waited(world: CrashingWorld, run_id: str) -> float:
    started = world.read_events(run_id)[0]
    assert isinstance(started, RunStarted)
    return round((started.at - started.created_at).total_seconds(), 1)


def results(world: CrashingWorld) -> dict[str, Any]:
    return {record.run_id: world.read_run(record.run_id).result for record in world.list_runs().runs}


def test_the_last_input_wins(world: CrashingWorld) -> None:
    assert [begin(world, name, value) for name, value in (("a", 1), ("b", 2), ("c", 3))] == ["a", "a", "a"]
    settle(world)
    assert world.read_run("a").status == "pending"
    serve(world)
    assert results(world) == {"a": 3}
    assert world.read_run("a").gathered == 3
    whole_history(world, "a", debounced)


def test_it_begins_a_period_after_the_last(world: CrashingWorld) -> None:
    begin(world, "a", 1, debounced_for_ever)
    for number in range(4):
        world.time += timedelta(seconds=20)
        settle(world)
        begin(world, f"b{number}", number, debounced_for_ever)
    serve(world)
    assert results(world) == {"a": 3}
    assert waited(world, "a") == 4 * 20 + 30


def test_it_waits_no_longer_than_max_wait(world: CrashingWorld) -> None:
    begin(world, "a", 1)
    for number in range(4):
        world.time += timedelta(seconds=20)
        settle(world)
        begin(world, f"b{number}", number)
    serve(world)
    assert results(world) == {"a": 1, "b2": 3}
    assert (waited(world, "a"), waited(world, "b2")) == (60, 50)


def test_each_key_has_a_run(world: CrashingWorld) -> None:
    begin(world, "a", 1)
    begin(world, "b", 2, topic="other")
    begin(world, "c", 3)
    serve(world)
    assert results(world) == {"a": 3, "b": 2}


def test_the_next_start_after_that_begins_another(world: CrashingWorld) -> None:
    begin(world, "a", 1)
    serve(world)
    assert begin(world, "b", 2) == "b"
    serve(world)
    assert results(world) == {"a": 1, "b": 2}


def test_a_start_that_is_repeated_is_the_same(world: CrashingWorld) -> None:
    begin(world, "a", 1)
    begin(world, "b", 2)
    begin(world, "c", 3)
    assert [begin(world, "b", 2), begin(world, "a", 1)] == ["a", "a"]
    serve(world)
    assert [begin(world, "b", 2), begin(world, "a", 1)] == ["a", "a"]
    serve(world)
    assert results(world) == {"a": 3}
    assert world.read_run("a").gathered == 3


def test_two_first_starts_at_the_same_time_are_one_run(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    read = gathering._read

    def meanwhile(*args: Any) -> Any:
        found = read(*args)
        monkeypatch.setattr(gathering, "_read", read)
        begin(world, "b", 2)
        return found

    monkeypatch.setattr(gathering, "_read", meanwhile)
    assert begin(world, "a", 1) == "b"
    serve(world)
    assert results(world) == {"b": 1}


def test_two_starts_that_join_at_the_same_time_both_count(world: CrashingWorld, monkeypatch: Any) -> None:
    begin(world, "a", 1)
    move = gathering._move

    def meanwhile(*args: Any) -> Any:
        monkeypatch.setattr(gathering, "_move", move)
        begin(world, "c", 3)
        return move(*args)

    monkeypatch.setattr(gathering, "_move", meanwhile)
    assert begin(world, "b", 2) == "a"
    serve(world)
    assert results(world) == {"a": 2}
    assert world.read_run("a").gathered == 3


def test_the_same_start_twice_at_the_same_time_counts_once(world: CrashingWorld, monkeypatch: Any) -> None:
    begin(world, "a", 1)
    take = gathering._take

    def meanwhile(*args: Any) -> Any:
        monkeypatch.setattr(gathering, "_take", take)
        begin(world, "b", 2)
        return take(*args)

    monkeypatch.setattr(gathering, "_take", meanwhile)
    assert begin(world, "b", 2) == "a"
    serve(world)
    assert world.read_run("a").gathered == 2


def test_a_start_that_comes_as_the_run_begins_is_in_the_next(world: CrashingWorld, monkeypatch: Any) -> None:
    begin(world, "a", 1)
    take = gathering._take

    def meanwhile(*args: Any) -> Any:
        monkeypatch.setattr(gathering, "_take", take)
        serve(world)
        return take(*args)

    monkeypatch.setattr(gathering, "_take", meanwhile)
    assert begin(world, "b", 2) == "b"
    serve(world)
    assert results(world) == {"a": 1, "b": 2}


def test_a_start_that_comes_when_the_run_is_closed_is_in_the_next(world: CrashingWorld, monkeypatch: Any) -> None:
    begin(world, "a", 1)
    forget, joined = gathering.forget_window, []

    def meanwhile(*args: Any) -> None:
        monkeypatch.setattr(gathering, "forget_window", forget)
        joined.append(begin(world, "b", 2))
        forget(*args)

    monkeypatch.setattr(gathering, "forget_window", meanwhile)
    serve(world)
    assert joined == ["b"]
    assert results(world) == {"a": 1, "b": 2}


def test_the_rows_of_long_windows_are_not_all_read(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    load, read = gathering.load, []

    def counted(*args: Any) -> Any:
        rows = load(*args)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(gathering, "load", counted)
    for number in range(40):
        begin(world, f"r{number}", number, debounced_for_ever)
    assert max(read) < gathering.HINT_EVERY
    serve(world)
    assert results(world) == {"r0": 39}


def test_a_window_that_is_full_begins(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "ROWS", 3)
    assert [begin(world, f"r{n}", n, debounced_for_ever) for n in range(6)] == ["r0", "r0", "r0", "r0", "r4", "r4"]
    settle(world)
    assert world.read_run("r0").result == 3
    assert world.read_run("r4").status == "pending"


def test_a_signal_begins_it(world: CrashingWorld) -> None:
    begin(world, "a", 1, debounced_and_told)
    begin(world, "b", 2, debounced_and_told)
    sending.signal(world, "a", "word", "go", signal_id="s")
    settle(world)
    assert results(world) == {"a": [2, "go"]}


def start_by_name(world: CrashingWorld, monkeypatch: pytest.MonkeyPatch, run_id: str, value: int) -> None:
    """Starts a run as a process does that has not the workflow's code."""
    with monkeypatch.context() as patch:
        patch.setattr(starting, "gathering", lambda workflow, run_id: None)
        begin(world, run_id, value, "debounced")


def test_starts_of_processes_without_the_code_are_gathered_too(world: CrashingWorld, monkeypatch: Any) -> None:
    start_by_name(world, monkeypatch, "a", 1)
    settle(world)
    assert (world.read_run("a").status, begin(world, "b", 2)) == ("pending", "a")
    start_by_name(world, monkeypatch, "c", 3)
    settle(world)
    assert (world.read_run("c").status, world.read_run("c").reason) == ("cancelled", "its start was added to run a")
    serve(world)
    assert results(world) == {"a": 3, "c": None}
    assert world.read_run("a").gathered == 3


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_dies_as_it_gathers_them(monkeypatch: pytest.MonkeyPatch, when: When) -> None:
    def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
        world = CrashingWorld(crashes)
        for number, name in enumerate("ab"):
            persist(lambda name=name, number=number: start_by_name(world, monkeypatch, name, number))  # type: ignore[misc]
        serve(world, live_limit=live_limit)
        return world

    def check(world: CrashingWorld) -> None:
        found = {world.read_run(run_id).status: world.read_run(run_id).gathered for run_id in "ab"}
        assert found == {"completed": 2, "cancelled": None}, world.crashed

    die_at_each_call(lived, check, when)


def test_a_run_that_is_cancelled_gathers_no_more(world: CrashingWorld) -> None:
    begin(world, "a", 1)
    sending.cancel(world, "a", "enough")
    settle(world)
    assert world.read_run("a").status == "cancelled"
    assert begin(world, "b", 2) == "b"
    serve(world)
    assert results(world) == {"a": None, "b": 2}


async def test_the_handle_is_on_the_run_that_runs(world: CrashingWorld) -> None:
    orchestrator = Orchestrator(world)
    await orchestrator.start_workflow("a", debounced, {"value": 1})
    run = await orchestrator.start_workflow("b", "debounced", {"value": 2})
    assert run.id == "a"


def test_what_a_start_costs(world: CrashingWorld) -> None:
    begin(world, "a", 1)
    assert world.calls == ["open window", "create_run", "send"]
    begin(world, "b", 2)
    world.calls.clear()
    begin(world, "c", 3)
    assert world.calls == ["note place", "append"]
    world.calls.clear()
    serve(world)
    too_early = ["send", "acknowledge"]
    assert world.calls == [*too_early, "append", "forget window", "append", "update_run", "acknowledge"]


def test_a_process_that_opens_a_window_and_dies_holds_up_no_other_start() -> None:
    world = CrashingWorld(once(0, "after"))
    with pytest.raises(Crash):
        begin(world, "a", 1)
    assert world.get_run("a") is None
    assert begin(world, "b", 2) == "a"
    serve(world)
    assert results(world) == {"a": 2}
    world.close()


@pytest.mark.parametrize("option", ["reuse", "delay"])
def test_options_that_make_no_sense_are_refused(world: CrashingWorld, option: str) -> None:
    with pytest.raises(InvalidInputError, match=f"which has a debounce, cannot have {option}"):
        starting.start(world, "r", debounced, {"value": 1}, **{option: {"reuse": "allow", "delay": "1h"}[option]})  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="call start_workflow, then signal"):
        starting.signal_with_start(world, "r", debounced, {"value": 1}, name="word")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"period": "soon"}, "period: 'soon' is not a duration"),
        ({"period": 0}, "period must be greater than zero"),
        ({"period": "1m", "max_wait": "1s"}, "max_wait must be at least as long as period"),
        ({"period": "1m", "key": "topic"}, "key must be a function"),
    ],
)
def test_what_is_no_debounce_is_refused(options: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Debounce(**options)


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_at_any_call(when: When) -> None:
    def lived(crashes: Crashes, *, live_limit: int = 200) -> CrashingWorld:
        world = CrashingWorld(crashes)
        for number, name in enumerate("abc"):
            persist(lambda name=name, number=number: begin(world, name, number))  # type: ignore[misc]
        serve(world, live_limit=live_limit)
        return world

    def check(world: CrashingWorld) -> None:
        ran = results(world)
        assert ran == {"a": 2}, world.crashed
        assert world.read_run("a").gathered == 3, world.crashed
        whole_history(world, "a", debounced)

    die_at_each_call(lived, check, when)
