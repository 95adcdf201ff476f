"""The code of docs/guide/streams.md, run."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from tests.docs.pages import own_page  # noqa: F401  # pyright: ignore[reportUnusedImport]
from tests.support.asgi import AsgiApi
from tests.support.event_source import Parser, values
from worldflow import StreamReset, open_stream, step, workflow
from worldflow.runtime import Orchestrator
from worldflow.runtime.stream_urls import reader_of
from worldflow.streams import sse
from worldflow.testing import WorkflowEnvironment

pytestmark = pytest.mark.usefixtures("own_page")

TOKENS = ["An ", "answer."]


async def model(question: str) -> AsyncIterator[str]:
    for token in TOKENS:
        yield token


async def test_a_step_writes_and_others_read() -> None:
    @step
    async def answer(question: str) -> str:
        words: list[str] = []
        async with open_stream("answer", str) as out:
            async for token in model(question):
                await out.write(token)
                words.append(token)
        return "".join(words)

    @workflow
    async def ask(question: str) -> str:
        return await answer(question)

    async with WorkflowEnvironment() as env:
        run = await env.start(ask, "Why?")

        text = ""
        async for item in run.stream("answer", str):
            if isinstance(item, StreamReset):
                text = ""
            else:
                text += item.value

        assert text == await run.result() == "An answer."
        (last,) = [item async for item in run.stream("answer", str, after=1)]
        assert not isinstance(last, StreamReset)
        assert (last.offset, last.value, last.step_id, last.attempt) == (2, "answer.", "s1", 1)


async def test_a_generator_writes_what_it_yields() -> None:
    @step(stream="tokens", returns="".join)
    async def tell(question: str) -> AsyncIterator[str]:
        async for token in model(question):
            yield token

    @workflow
    async def ask_to_tell(question: str) -> str:
        return await tell(question)

    async with WorkflowEnvironment() as env:
        run = await env.start(ask_to_tell, "Why?")

        assert await run.result() == "An answer." == await tell("Why?")
        items = [item async for item in run.stream("tokens", str)]
        assert [item.value for item in items if not isinstance(item, StreamReset)] == TOKENS


class Progress(BaseModel):
    phase: str


async def test_a_workflow_writes() -> None:
    @step
    async def answer(question: str) -> str:
        return "An answer."

    @workflow
    async def research(question: str) -> str:
        progress = open_stream("progress", Progress)
        progress.write(Progress(phase="answering"))
        text = await answer(question)
        progress.write(Progress(phase="done"))
        return text

    async with WorkflowEnvironment() as env:
        run = await env.start(research, "Why?")
        await run.result()
        items = [item async for item in run.stream("progress", Progress)]
        assert [item.value.phase for item in items if not isinstance(item, StreamReset)] == ["answering", "done"]


async def test_an_attempt_goes_on_where_the_last_one_stopped() -> None:
    sent: list[str] = []

    async def send(row: str) -> None:
        sent.append(row)
        if sent == ["a", "b"]:
            raise ConnectionError("the line is bad")

    @step
    async def export(rows: list[str]) -> int:
        async with open_stream("rows", str, resume=True) as out:
            for row in rows[out.written :]:
                await send(row)
                await out.write(row)
        return len(rows)

    @workflow
    async def exports(rows: list[str]) -> int:
        return await export(rows)

    async with WorkflowEnvironment() as env:
        run = await env.start(exports, ["a", "b", "c"])
        assert await run.result() == 3
        items = [item async for item in run.stream("rows", str)]

    assert sent == ["a", "b", "b", "c"]
    assert [item.value for item in items if not isinstance(item, StreamReset)] == ["a", "b", "c"]
    assert len(items) == 3


async def test_an_application_and_a_signed_url() -> None:
    pytest.importorskip("fastapi")
    from fastapi import FastAPI, Request, Response

    @step
    async def answer(question: str) -> None:
        async with open_stream("answer", str) as out:
            async for token in model(question):
                await out.write(token)

    @workflow
    async def ask(question: str) -> None:
        await answer(question)

    app = FastAPI()
    async with WorkflowEnvironment() as env:
        orchestrator = Orchestrator(env.world)
        run = await env.start(ask, "Why?")
        await run.result()

        @app.get("/questions/{question_id}/answer")
        async def read_answer(question_id: str, request: Request) -> Response:
            return sse(orchestrator.run(question_id), "answer", request)

        response = await asyncio.to_thread(AsgiApi(app).get, f"/questions/{run.id}/answer")
        assert values(Parser().feed(response.text)) == TOKENS

        url = await run.stream_url("answer", expires="1h")

        reader: Any = reader_of(env.world, url.rpartition("/")[2])
        assert (reader.run_id, reader.name) == (run.id, "answer")
