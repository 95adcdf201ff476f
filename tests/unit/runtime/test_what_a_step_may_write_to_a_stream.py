"""What a step may write to a stream, what it is told where it may not, and when it is written."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.stream_values import all_items, values_that_stand
from worldflow import (
    InvalidInputError,
    OutsideError,
    RetryPolicy,
    RunFailedError,
    SerializationError,
    Stream,
    StreamClosedError,
    StreamLimitError,
    UnsupportedOperationError,
    open_stream,
    step,
    step_info,
    workflow,
)
from worldflow.engine.history import Event
from worldflow.engine.workflow import outlets
from worldflow.testing import WorkflowEnvironment, step_context
from worldflow.turns import streams as writing
from worldflow.worlds import LocalWorld

ONCE = RetryPolicy(max_attempts=1)

does: dict[str, Callable[[], Any]] = {}
"""What the steps do."""


@step(retry=ONCE)
async def do_asynchronously() -> Any:
    return await does["it"]()


@step(retry=ONCE)
def do_plainly() -> Any:
    return does["it"]()


@workflow
async def do_in_a_step() -> Any:
    return await do_asynchronously()


@workflow
async def do_in_a_plain_step() -> Any:
    return await do_plainly()


async def run(it: Callable[[], Any], flow: Any = do_in_a_step) -> tuple[list[Any], Any]:
    """What stands in the stream in the end, and the result of the run, or why it failed."""
    does["it"] = it
    async with WorkflowEnvironment() as env:
        handle = await env.start(flow)
        try:
            result = await handle.result()
        except RunFailedError as error:
            result = error.__cause__
        return values_that_stand(env.world, handle.id, "answer"), result


class Token(BaseModel):
    text: str


async def test_values_are_written_and_read_by_their_type() -> None:
    async def it() -> None:
        async with open_stream("answer", Token) as out:
            await out.write(Token(text="a"))

    does["it"] = it
    async with WorkflowEnvironment() as env:
        handle = await env.start(do_in_a_step)
        assert [item.value async for item in handle.stream("answer", Token)] == [Token(text="a")]  # type: ignore[union-attr]
        with pytest.raises(SerializationError, match="does not match its type"):
            [item async for item in handle.stream("answer", int)]


async def test_a_value_that_does_not_match_the_type_is_refused() -> None:
    async def it() -> None:
        async with open_stream("answer", int) as out:
            await out.write("a")  # type: ignore[arg-type]

    written, error = await run(it)
    assert isinstance(error, SerializationError)
    assert written == []


async def test_a_value_may_have_400_kilobytes() -> None:
    async def it() -> None:
        async with open_stream("answer", str) as out:
            await out.write("x" * (outlets.VALUE_LIMIT - 2))
            await out.write("x" * (outlets.VALUE_LIMIT - 1))

    written, error = await run(it)
    assert isinstance(error, StreamLimitError)
    assert str(error) == "a value of the stream 'answer' has 409,601 bytes of JSON; the limit is 409,600"
    assert [len(value) for value in written] == [409_598]


async def test_a_stream_may_have_50_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "STREAM_LIMIT", 100)

    async def it() -> None:
        async with open_stream("answer", str) as out:
            for _ in range(5):
                await out.write("x" * 30)
                await asyncio.sleep(0.01)

    written, error = await run(it)
    assert isinstance(error, StreamLimitError)
    assert "the stream 'answer' is full: its values may have 52,428,800 bytes" in str(error)
    assert len(written) <= 3


async def test_writes_need_no_await_and_no_block() -> None:
    async def it() -> None:
        out = open_stream("answer", int)
        for number in range(1_000):
            out.write(number)

    assert await run(it) == (list(range(1_000)), None)


async def test_a_step_that_fails_leaves_what_it_wrote() -> None:
    async def it() -> None:
        async with open_stream("answer", int) as out:
            for number in range(10):
                await out.write(number)
            raise ValueError("broken")

    written, error = await run(it)
    assert isinstance(error, ValueError)
    assert written == list(range(10))


async def test_what_is_written_meanwhile_is_not_waited_for_by_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    writes = Held(monkeypatch)

    async def it() -> int:
        async with open_stream("answer", str) as out:
            await out.write("first")
            await asyncio.to_thread(writes.reached.wait)
            for _ in range(10):
                await asyncio.sleep(0)  # the loop runs on
            writes.go_on.set()
        return 1

    assert await run(it) == (["first"], 1)


async def test_a_step_waits_where_values_come_faster_than_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    writes = Held(monkeypatch)
    room: list[bool] = []

    async def it() -> None:
        async with open_stream("answer", str) as out:
            await out.write("first")
            await asyncio.to_thread(writes.reached.wait)
            await out.write("x" * (writing.BUFFER_BYTES - 100))
            waiting = asyncio.ensure_future(as_coroutine(out.write("y" * 100)))
            done, _ = await asyncio.wait([waiting], timeout=0.1)
            room.append(bool(done))
            writes.go_on.set()
            await waiting

    written, error = await run(it)
    assert (len(written), error, room) == (3, None, [False])


async def as_coroutine(writing: Any) -> None:
    await writing


class Held:
    """The first write of a stream waits until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        write = writing.Writer.write

        def held(one: writing.Writer, values: Sequence[Any], size: int, *, close: bool) -> None:
            self.reached.set()
            assert self.go_on.wait(30)
            write(one, values, size, close=close)

        monkeypatch.setattr(writing.Writer, "write", held)


async def test_an_error_of_the_store_fails_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, run_id: str, events: Sequence[Event]) -> None:
        if "#" in run_id:
            raise OSError("the disk is full")
        append(self, run_id, events)

    append = LocalWorld.append
    monkeypatch.setattr(LocalWorld, "append", broken)

    async def with_a_block() -> None:
        async with open_stream("answer", int) as out:
            await out.write(1)

    async def without() -> None:
        open_stream("answer", int).write(1)

    async def later() -> None:
        out = open_stream("answer", int)
        while True:
            await out.write(1)
            await asyncio.sleep(0)

    for it in (with_a_block, without, later):
        written, error = await run(it)
        assert isinstance(error, OSError)
        assert written == []


async def test_a_closed_stream_takes_nothing_more() -> None:
    async def it() -> None:
        out = open_stream("answer", int)
        out.write(1)
        await out.close()
        out.write(2)

    written, error = await run(it)
    assert isinstance(error, StreamClosedError)
    assert written == [1]


async def test_a_step_that_has_ended_writes_no_more() -> None:
    left: list[Stream[int]] = []

    async def it() -> None:
        left.append(open_stream("answer", int))
        left[0].write(1)

    assert await run(it) == ([1], None)
    with pytest.raises(OutsideError, match="has ended"):
        left[0].write(2)


async def test_an_attempt_that_times_out_writes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "INTERVAL", 60.0)
    async with WorkflowEnvironment() as env:
        handle = await env.start(time_out_while_streaming)
        with pytest.raises(RunFailedError):
            await handle.result()
        assert values_that_stand(env.world, handle.id, "answer") == ["in time"]


@step(timeout="0.2s", retry=ONCE)
async def stream_until_it_times_out() -> None:
    async with open_stream("answer", str) as out:
        await out.write("in time")
        await asyncio.sleep(0.1)
        await out.write("not written yet")
        await asyncio.sleep(30)


@workflow
async def time_out_while_streaming() -> None:
    await stream_until_it_times_out()


async def test_a_plain_step_writes_too() -> None:
    def it() -> str:
        with open_stream("answer", int) as out:
            out.write(1)
            time.sleep(0.15)
            out.write(2)
        return threading.current_thread().name

    written, thread = await run(it, do_in_a_plain_step)
    assert written == [1, 2]
    assert thread.startswith("worldflow-step")


async def test_a_block_that_would_stop_the_loop_is_refused() -> None:
    async def it() -> None:
        with open_stream("answer", int) as out:
            out.write(1)

    _, error = await run(it)
    assert isinstance(error, UnsupportedOperationError)
    assert "use 'async with'" in str(error)


async def test_steps_called_by_hand_write_nowhere() -> None:
    with step_context():
        async with open_stream("answer", int) as out:
            await out.write(1)


def test_plain_steps_called_by_hand_write_nowhere() -> None:
    with step_context(), open_stream("answer", str, resume=True) as text:
        assert text.written == 0
        text.write("a")
        text.close()


def test_it_is_for_steps_and_workflows() -> None:
    with pytest.raises(OutsideError, match="only works inside a workflow"):
        open_stream("answer")
    with step_context(), pytest.raises(InvalidInputError, match="not a valid stream"):
        open_stream("an answer")


async def test_threads_of_a_step_write_too() -> None:
    async def it() -> None:
        async with open_stream("answer", int) as out:
            for number in range(3):
                await asyncio.to_thread(out.write, number)

    assert await run(it) == ([0, 1, 2], None)


async def test_the_attempt_stands_with_each_value() -> None:
    async def it() -> None:
        open_stream("answer").write(step_info().attempt)

    does["it"] = it
    async with WorkflowEnvironment() as env:
        handle = await env.start(do_in_a_step)
        await handle.result()
        assert [(item.step_id, item.attempt) for item in all_items(env.world, handle.id, "answer")] == [("s1", 1)]
