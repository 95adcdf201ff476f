"""What a workflow may write to a stream, and what it is told where it may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.stream_values import values_that_stand
from worldflow import (
    RunFailedError,
    SerializationError,
    StreamClosedError,
    StreamLimitError,
    WorldflowError,
    open_stream,
    publish,
    sleep,
    workflow,
)
from worldflow.engine.workflow import outlets
from worldflow.testing import WorkflowEnvironment

does: dict[str, Callable[[], Any]] = {}


@workflow
async def write_in_a_workflow() -> Any:
    return await does["it"]()


async def run(it: Callable[[], Any]) -> tuple[list[Any], Any]:
    """What stands in the stream in the end, and the result of the run, or why it failed."""
    does["it"] = it
    async with WorkflowEnvironment() as env:
        handle = await env.start(write_in_a_workflow)
        try:
            result = await handle.result()
        except RunFailedError as error:
            result = error.__cause__
        return values_that_stand(env.world, handle.id, "answer"), result


async def test_a_closed_stream_takes_nothing_more() -> None:
    async def it() -> None:
        out = open_stream("answer", int)
        out.write(1)
        out.close()
        await sleep(1)
        open_stream("answer", int).write(2)

    written, error = await run(it)
    assert isinstance(error, StreamClosedError)
    assert written == [1]


async def test_a_block_does_not_close() -> None:
    async def it() -> None:
        async with open_stream("answer", int) as out:
            await out.write(1)
        with open_stream("answer", int) as out:
            out.write(2)

    assert await run(it) == ([1, 2], None)


async def test_values_have_a_type_and_a_limit() -> None:
    async def wrong() -> None:
        open_stream("answer", int).write("a")  # type: ignore[arg-type]

    async def large() -> None:
        open_stream("answer", str).write("x" * outlets.VALUE_LIMIT)

    assert isinstance((await run(wrong))[1], SerializationError)
    assert isinstance((await run(large))[1], StreamLimitError)


async def test_a_stream_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets, "STREAM_LIMIT", 100)

    async def it() -> None:
        for _ in range(5):
            open_stream("answer", str).write("x" * 30)

    written, error = await run(it)
    assert isinstance(error, StreamLimitError)
    assert len(written) == 3


async def test_a_workflow_opens_so_many_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets, "NAMES_LIMIT", 2)

    async def it() -> None:
        for name in ("answer", "other", "answer", "third"):
            open_stream(name).write(1)

    written, error = await run(it)
    assert isinstance(error, StreamLimitError)
    assert written == [1, 1]


async def test_what_is_discarded_writes_nothing() -> None:
    async def it() -> None:
        out = open_stream("answer")
        out.write("waits")
        try:
            await sleep("1h")
        finally:
            out.write("ends")

    assert await run(it) == (["waits", "ends"], None)  # though each turn has discarded an execution


async def test_what_a_query_calls_may_not_write() -> None:
    async def it() -> None:
        out = open_stream("answer")
        publish("look", lambda: out.write(1))
        await sleep("1h")

    does["it"] = it
    async with WorkflowEnvironment() as env:
        handle = await env.start(write_in_a_workflow)
        with pytest.raises(WorldflowError, match="read-only"):
            await handle.query("look")


async def test_large_values_are_written_in_several_commits() -> None:
    async def it() -> None:
        out = open_stream("answer")
        for number in range(300):
            out.write(number)
        for _ in range(3):
            out.write("x" * 100_000)

    written, _ = await run(it)
    assert written[:300] == list(range(300))
    assert [len(value) for value in written[300:]] == [100_000] * 3
