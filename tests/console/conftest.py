"""A console over a LocalWorld in memory, asked by requests as a browser sends them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from tests.support.api import Answer
from tests.support.asgi import AsgiApi
from tests.support.systems import System, local_system
from worldflow.console import console
from worldflow.worlds import World

HOST = "127.0.0.1:8000"


class Pages:
    """The pages of a console. A form is sent as its page has it."""

    def __init__(self, world: World, **options: Any) -> None:
        self.request = AsgiApi(console(world, **{"any_host": False, **options}))

    def get(self, path: str, **query: str) -> Answer:
        path, _, more = path.partition("?")
        return self.request("GET", path, query=[*parse_qsl(more), *query.items()])

    def text(self, path: str, **query: str) -> str:
        answer = self.get(path, **query)
        assert answer.status == 200, answer.text
        return answer.text

    def send(
        self, path: str, fields: Mapping[str, Any] | None = None, *, page: str = "/start?workflow=any", **headers: str
    ) -> Answer:
        """Sends a form with the token of a page."""
        found = re.search(r'name=".token" value="([^"]+)"', self.get(page).text)
        token = {".token": found[1]} if found else {}
        body = urlencode({**token, **(fields or {})}, doseq=True)
        path, _, query = path.partition("?")
        return self.request("POST", path, body, headers={"Origin": f"http://{HOST}", **headers}, query=parse_qsl(query))

    def follow(self, answer: Answer) -> str:
        """The page to which an action leads."""
        assert answer.status == 303, answer.text
        path, _, query = answer.headers["Location"].partition("?")
        return self.text(path, **dict(pair.split("=") for pair in query.split("&") if pair))


@pytest.fixture
def system() -> Iterator[System]:
    with local_system(":memory:") as system:
        yield system


@pytest.fixture
def pages(system: System) -> Pages:
    return Pages(system.world)


@pytest.fixture
def open_pages(system: System) -> Callable[..., Pages]:
    """Another console over the same runs."""
    return lambda **options: Pages(system.world, **options)
