"""`worldflow.streams.sse` in an application behind uvicorn: clients that follow, come back, wait and leave."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing

import pytest

import worldflow.streams
from tests.support.event_source import Message, Parser, values
from worldflow import InvalidInputError, RunNotFoundError, open_stream, step, workflow
from worldflow.runtime import Orchestrator
from worldflow.worker import Worker
from worldflow.worlds import LocalWorld

uvicorn = pytest.importorskip("uvicorn")
applications = pytest.importorskip("starlette.applications")

WORDS = ["Hel", "lo, ", "you."]


class Gate:
    """Lets a step go on word by word."""

    def __init__(self) -> None:
        self.words: asyncio.Queue[str | None] = asyncio.Queue()
        self.has_begun = asyncio.Event()

    def open(self, *words: str | None) -> None:
        for word in words:
            self.words.put_nowait(word)


gate: Gate


@step
async def dictate() -> int:
    count = 0
    gate.has_begun.set()
    async with open_stream("words", str) as out:
        while (word := await gate.words.get()) is not None:
            await out.write(word)
            count += 1
    return count


@workflow
async def dictation() -> int:
    return await dictate()


class Client:
    """A connection that reads events as they come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._messages: list[Message] = []
        self.parser = Parser()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.ended = False

    @classmethod
    @asynccontextmanager
    async def connected(cls, port: int, path: str = "/words/r", **headers: str) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        given = {"Host": "localhost", "Accept": "text/event-stream", **headers}
        lines = [f"GET {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {text}" for name, text in given.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        client = cls(reader, writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            client.status = int(head[0].split()[1])
            client.headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            yield client
        finally:
            await client.leave()

    async def next(self) -> Message:
        while not self._messages:
            assert await self._receive(), "the response is over"
        return self._messages.pop(0)

    async def rest(self) -> list[Message]:
        """What comes until the response is over."""
        while await self._receive():
            pass
        rest, self._messages = self._messages, []
        return rest

    async def comment(self) -> None:
        before = self.parser.comments
        while self.parser.comments == before:
            assert await self._receive()

    async def leave(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _receive(self) -> bool:
        """Whether there was one more chunk."""
        size = int((await self._reader.readline()).strip() or b"0", 16)
        text = (await self._reader.readexactly(size)).decode()
        await self._reader.readline()
        self._messages += self.parser.feed(text)
        return size > 0


@pytest.fixture(autouse=True)
def opened() -> None:
    global gate
    gate = Gate()


@pytest.fixture
def world() -> Iterator[LocalWorld]:
    with closing(LocalWorld(":memory:")) as world:
        yield world


@pytest.fixture
async def port(world: LocalWorld) -> AsyncIterator[int]:
    """Of an application that serves the streams of runs, with a worker."""
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    orchestrator = Orchestrator(world)

    async def words(request: Request) -> Response:
        return worldflow.streams.sse(orchestrator.run(request.path_params["run_id"]), "words", request)

    async def refuse(request: Request, error: Exception) -> Response:
        return PlainTextResponse(str(error), 404 if isinstance(error, RunNotFoundError) else 422)

    application = applications.Starlette(
        routes=[Route("/words/{run_id}", words)],
        exception_handlers={RunNotFoundError: refuse, InvalidInputError: refuse},
    )
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, lifespan="off", log_config=None))
    async with Worker(world):
        await orchestrator.start_workflow("r", dictation)
        serving = asyncio.create_task(server._serve([listening]))
        yield listening.getsockname()[1]
        gate.open(None)
        server.should_exit = True
        await serving
        await orchestrator.run("r").result()


async def test_words_come_while_the_step_runs(port: int, world: LocalWorld) -> None:
    async with Client.connected(port) as client:
        assert (client.status, client.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert client.headers["cache-control"] == "no-store"
        for number, word in enumerate(WORDS, start=1):
            gate.open(word)
            message = await client.next()
            assert (message.id, message.data["value"], message.data["attempt"]) == (str(number), word, 1)
        assert await Orchestrator(world).run("r").status() == "running"
        gate.open(None)
        assert await client.rest() == [Message("end", "3-end", {"next": 3, "ended": True})]


async def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(port: int) -> None:
    async with Client.connected(port) as client:
        gate.open(*WORDS)
        seen = [await client.next(), await client.next()]
    async with Client.connected(port, Last_Event_ID=seen[-1].id) as client:
        gate.open("More.", None)
        seen += await client.rest()
    assert [message.id for message in seen] == ["1", "2", "3", "4", "4-end"]
    assert values(seen) == [*WORDS, "More."]


async def test_a_client_names_an_offset_in_the_query(port: int) -> None:
    gate.open(*WORDS, None)
    async with Client.connected(port, "/words/r?after=2") as client:
        assert values(await client.rest()) == WORDS[2:]


async def test_who_has_seen_the_end_is_told_not_to_come_back(port: int) -> None:
    gate.open(*WORDS, None)
    async with Client.connected(port) as client:
        last = (await client.rest())[-1].id
    async with Client.connected(port, Last_Event_ID=last) as client:
        assert client.status == 204


async def test_a_comment_keeps_the_connection(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worldflow.streams, "KEEP_ALIVE", 0.01)
    async with Client.connected(port) as client:
        await client.comment()
        gate.open("Hel")
        assert (await client.next()).data["value"] == "Hel"
        await client.comment()


async def test_a_client_that_leaves_leaves_nothing(port: int) -> None:
    await gate.has_begun.wait()
    before, clients = asyncio.all_tasks(), 5
    async with contextlib.AsyncExitStack() as stack:
        for number in range(clients):
            client = await stack.enter_async_context(Client.connected(port))
            gate.open(f"word {number}")
            await client.next()
        assert len(asyncio.all_tasks() - before) > clients
    while left := asyncio.all_tasks() - before:
        await asyncio.wait(left, timeout=1)
    gate.open("and on")


async def test_there_may_be_no_such_run(port: int) -> None:
    async with Client.connected(port, "/words/nobody") as client:
        assert client.status == 404


@pytest.mark.parametrize("path", ["/words/r?after=x", "/words/r?after=-1", "/words/r?after=1e3"])
async def test_what_is_no_offset_is_refused(port: int, path: str) -> None:
    async with Client.connected(port, path) as client:
        assert client.status == 422
    async with Client.connected(port, Last_Event_ID="x") as client:
        assert client.status == 422


async def test_starlette_is_imported_when_it_is_called() -> None:
    import subprocess
    import sys

    code = "import sys, worldflow.streams; sys.exit('starlette' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
