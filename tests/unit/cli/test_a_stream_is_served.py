"""`serve` sends a stream as it is written, and does not wait for its readers when it ends."""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.event_source import Message, Parser
from tests.unit.cli.conftest import Cli
from tests.unit.cli.test_the_api_is_served import ask, serving
from worldflow.runtime.stream_urls import stream_url
from worldflow.worlds.local.world import LocalWorld

pytestmark = pytest.mark.skipif(not find_spec("uvicorn"), reason="the extra serve is not installed")


class Reader:
    """An open response."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.response = response
        self._parser = Parser()

    def next(self) -> Message:
        return next(iter(self))

    def __iter__(self) -> Iterator[Message]:
        while line := self.response.readline():
            yield from self._parser.feed(line.decode())


@contextmanager
def reading(url: str) -> Iterator[Reader]:
    parts = urlsplit(url)
    assert parts.hostname
    with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)) as connection:
        connection.request("GET", parts.path, headers={"Accept": "text/event-stream"})
        yield Reader(connection.getresponse())


@pytest.mark.parametrize("is_signed", [False, True])
def test_words_come_while_the_step_runs(cli: Cli, tmp_path: Path, is_signed: bool) -> None:
    pipe = tmp_path / "words"
    os.mkfifo(pipe)
    with serving(cli) as (_, url):
        ask(f"{url}/runs", {"workflow": "cli_dictation", "run_id": "r1", "input": {"pipe": str(pipe)}})
        path = f"{url}/runs/r1/streams/words"
        if is_signed:
            with closing(LocalWorld(cli.file, webhook_url=f"{url}/webhooks")) as world:
                path = stream_url(world, "r1", "words")
        with reading(path) as reader, open(pipe, "w", buffering=1) as words:
            assert reader.response.headers["access-control-allow-origin"] == ("*" if is_signed else None)
            for number, word in enumerate(("Hel", "lo"), start=1):
                words.write(f"{word}\n")
                message = reader.next()
                assert (message.id, message.data["value"]) == (str(number), word)
            words.close()
            assert list(reader) == [Message("end", "2-end", {"next": 2, "ended": True})]


@pytest.mark.parametrize("path", ["/runs/none/streams/words", "/streams/forged"])
def test_there_may_be_nothing_to_follow(cli: Cli, path: str) -> None:
    with serving(cli) as (_, url), reading(f"{url}{path}") as reader:
        assert (reader.response.status, reader.response.headers["content-type"]) == (404, "application/json")


def test_a_server_that_ends_does_not_wait_for_readers(cli: Cli) -> None:
    with serving(cli) as (process, url):
        ask(f"{url}/runs", {"workflow": "ask", "run_id": "r1"})
        with reading(f"{url}/runs/r1/streams/words") as reader:
            assert reader.response.status == 200
            process.send_signal(signal.SIGTERM)
            assert list(reader) == []
            _, errors = process.communicate(timeout=20)
            assert (process.returncode, errors) == (0, "")
