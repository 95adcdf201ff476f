"""Of two executions of a step, the later one has its streams: the other learns of it where it writes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.support.driver import START
from tests.support.stream_values import all_items, what_stands
from worldflow import RetryPolicy, StreamClosedError, StreamItem, StreamReset, open_stream, step, step_info
from worldflow.engine.errors import ConflictError
from worldflow.engine.history import StepFailed
from worldflow.engine.ids import stream_key
from worldflow.turns.steps import StepExecutor
from worldflow.turns.streams import Writer
from worldflow.worlds import LocalWorld, ledger, streams
from worldflow.worlds.messages import StepTask


class World(LocalWorld):
    def __init__(self) -> None:
        self.time = START
        super().__init__(clock=lambda: self.time)


@pytest.fixture
def world() -> World:
    return World()


def writer(world: World, attempt: int = 1, execution: str = "", **how: Any) -> Writer:
    """One execution of an attempt of the step `s1`."""
    task = StepTask(run_id=how.get("run_id", "r"), step_id=how.get("step_id", "s1"), attempt=attempt, name="n")
    task = task.model_copy(update={"origin": how.get("origin"), "deadline": how.get("deadline")})
    is_first = how.get("is_first", attempt == 1 and task.origin is None)
    return Writer(world, task, "answer", execution or f"of attempt {attempt}", is_first, how.get("resume", False))


def write(one: Writer, *values: str, close: bool = False) -> None:
    one.write(values, sum(map(len, values)), close=close)


def stands(world: World) -> list[str]:
    return [item.value for item in what_stands(all_items(world, "r", "answer"))]


def test_a_later_attempt_begins_anew(world: World) -> None:
    first, second = writer(world, 1), writer(world, 2)
    write(first, "a", "b")
    second.open()

    with pytest.raises(asyncio.CancelledError, match="another attempt"):
        write(first, "c")
    write(second, "d")

    assert all_items(world, "r", "answer") == [
        StreamItem(1, "a", "s1", 1),
        StreamItem(2, "b", "s1", 1),
        StreamReset(3, "s1", 2, since=1),
        StreamItem(4, "d", "s1", 2),
    ]


def test_an_attempt_that_writes_late_is_made_void_by_the_later_one(world: World) -> None:
    """The later one has found nothing when it opened the stream, and the earlier one is first to write."""
    first, second = writer(world, 1), writer(world, 2)
    second.open()
    first._check_wanted()
    first._opened = True  # it had opened the stream before the other
    write(first, "a")
    write(second, "b")

    with pytest.raises(asyncio.CancelledError):
        write(first, "c")
    assert stands(world) == ["b"]


def test_an_attempt_that_opens_a_stream_after_the_later_one_is_refused(world: World) -> None:
    second = writer(world, 2)
    write(second, "a")
    streams.remember(world, "r", "answer", second._log)  # so that nobody has to read what is there

    with pytest.raises(asyncio.CancelledError, match="another attempt"):
        writer(world, 1).open()
    assert stands(world) == ["a"]


def test_another_stream_of_a_replaced_attempt_is_refused_too(world: World) -> None:
    write(writer(world, 2), "a")
    first = writer(world, 1)
    first.name = "other"

    with pytest.raises(asyncio.CancelledError, match="another attempt"):
        first.open()


def test_of_two_executions_of_one_attempt_the_later_one_writes(world: World) -> None:
    first, again = writer(world, execution="first"), writer(world, execution="again", is_first=False)
    write(first, "a")
    write(again, "b")

    with pytest.raises(asyncio.CancelledError):
        write(first, "c")
    third = writer(world, execution="third", is_first=False)
    write(third, "d")
    with pytest.raises(asyncio.CancelledError):
        write(again, "e")
    assert stands(world) == ["d"]


def test_two_executions_that_both_found_nothing_agree(world: World) -> None:
    second, third = writer(world, execution="second", is_first=False), writer(world, execution="third", is_first=False)
    second.open()
    third.open()
    write(second, "a")
    write(third, "b")

    with pytest.raises(asyncio.CancelledError):
        write(second, "c")
    write(third, "d")
    assert stands(world) == ["b", "d"]


def test_an_attempt_that_resumes_counts_what_stands(world: World) -> None:
    first = writer(world, 1)
    write(first, "a", "b")
    second = writer(world, 2, resume=True)
    second.open()

    assert second.written == 2
    with pytest.raises(asyncio.CancelledError):
        write(first, "c")
    write(second, "c")
    third = writer(world, 3, resume=True)
    third.open()
    assert third.written == 3
    assert stands(world) == ["a", "b", "c"]
    assert not any(isinstance(item, StreamReset) for item in all_items(world, "r", "answer"))


def test_an_attempt_that_resumes_counts_nothing_void(world: World) -> None:
    write(writer(world, 1), "a", "b")
    write(writer(world, 2), "c")
    third = writer(world, 3, resume=True)
    third.open()

    assert third.written == 1


def test_the_retry_of_a_run_replaces_the_attempts_of_the_run_that_failed(world: World) -> None:
    last = writer(world, 3)
    write(last, "a")
    write(writer(world, 1, run_id="r~2", origin="r", execution="of the retry"), "b")

    with pytest.raises(asyncio.CancelledError):
        write(last, "c")
    assert all_items(world, "r", "answer")[1] == StreamReset(2, "s1", 1, since=1)
    assert stands(world) == ["b"]


def test_a_step_of_the_next_generation_is_another(world: World) -> None:
    write(writer(world, 1), "a")
    write(writer(world, 1, run_id="r~2", execution="of the next"), "b")

    assert stands(world) == ["a", "b"]


def test_steps_that_write_at_once_have_all_their_values(world: World) -> None:
    writers = [writer(world, step_id=f"s{number}", execution=f"{number}") for number in (1, 2, 3)]
    for number in range(4):
        for one in writers:
            write(one, f"{one._task.step_id} {number}")

    assert sorted(stands(world)) == sorted(f"s{step} {number}" for step in (1, 2, 3) for number in range(4))


def test_a_request_that_is_made_again_writes_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client makes the request again whose answer was lost, and is told that the place is taken."""
    append, lost = LocalWorld.append, [True]

    def append_twice(self: LocalWorld, run_id: str, events: Any) -> None:
        append(self, run_id, events)
        if lost:
            lost.clear()
            append(self, run_id, events)

    monkeypatch.setattr(LocalWorld, "append", append_twice)
    first = writer(world)
    write(first, "a")
    write(first, "b")
    assert stands(world) == ["a", "b"]

    lost.append(True)
    second = writer(world, 2)
    second.open()
    write(second, "c")
    assert [type(item) for item in all_items(world, "r", "answer")] == [StreamItem, StreamItem, StreamReset, StreamItem]


def test_a_closed_stream_takes_nothing_more(world: World) -> None:
    write(writer(world), "a", close=True)

    with pytest.raises(StreamClosedError, match="'answer' is closed"):
        write(writer(world, step_id="s2", execution="other"), "b")
    assert streams.read(world, "r", "answer").ended


def test_a_later_attempt_opens_again_what_its_own_step_closed(world: World) -> None:
    write(writer(world, 1), "a", close=True)
    write(writer(world, 2), "b")

    assert stands(world) == ["b"]


def test_a_later_generation_opens_a_stream_again(world: World) -> None:
    write(writer(world), "a", close=True)
    write(writer(world, run_id="r~2", execution="other"), "b")

    assert stands(world) == ["a", "b"]


def test_an_attempt_writes_nothing_after_its_deadline(world: World) -> None:
    one = writer(world, deadline=START + timedelta(seconds=10))
    write(one, "a")
    world.time += timedelta(seconds=10)

    with pytest.raises(asyncio.CancelledError, match="longer than its timeout"):
        write(one, "b")


def test_an_attempt_that_is_not_wanted_any_more_learns_of_it_in_seconds(world: World) -> None:
    one = writer(world)
    write(one, "a")
    ledger.abandon(world, "r", "s1", 1)
    world.time += timedelta(seconds=5)

    with pytest.raises(asyncio.CancelledError, match="no longer needs"):
        write(one, "b")


@step(retry=RetryPolicy(max_attempts=1))
async def stream_while_it_is_replaced(attempts: int) -> str:
    info = step_info()
    async with open_stream("answer", str) as out:
        await out.write("a")
        while not worlds[0].load_history(stream_key("r", "answer")):  # it is written in another thread
            await asyncio.sleep(0.001)
        task = StepTask(run_id=info.run_id, step_id=info.step_id, attempt=attempts, name="n")
        other = Writer(worlds[0], task, "answer", "other", False, False)
        await asyncio.to_thread(other.open)
        await out.write("b")
    return "done"


worlds: list[LocalWorld] = []


async def test_the_outcome_of_an_attempt_is_told_by_the_execution_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is replaced has none: a cancellation that only it has seen would be the attempt's."""
    monkeypatch.setattr(f"{__name__}.worlds", [world := World()])
    executor, task = StepExecutor(world), task_of(1)

    with pytest.raises(ConflictError, match="another execution of attempt 1 goes on"):
        await executor.attempt(task)
    executor.close()


async def test_an_attempt_that_a_later_one_replaced_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.worlds", [world := World()])
    executor, task = StepExecutor(world), task_of(2)

    finish = await executor.attempt(task)
    assert finish
    finish()
    outcome = ledger.get_outcome(world, "r", "s1", 1)
    assert outcome and isinstance(outcome.fact, StepFailed) and "CancelledError" in outcome.fact.error.type
    executor.close()


def task_of(attempts: int) -> StepTask:
    """A task of the first attempt, which is replaced by an execution of attempt number `attempts`."""
    return StepTask(run_id="r", step_id="s1", name=stream_while_it_is_replaced.name, input={"attempts": attempts})
