"""A reader of Server-Sent Events, as the standard has it: parses them, and comes back with the last id until it is told
not to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple


class Message(NamedTuple):
    kind: str
    id: str
    data: Any


class Response(NamedTuple):
    status: int
    text: str


class Parser:
    """Makes messages of lines, which may come in pieces."""

    def __init__(self) -> None:
        self.last_id = ""
        self.retry: int | None = None
        self.comments = 0
        self._rest = ""
        self._data: list[str] = []
        self._kind = ""

    def feed(self, text: str) -> Iterator[Message]:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if not line:
                data, kind = "\n".join(self._data), self._kind or "message"
                self._data, self._kind = [], ""
                if data:
                    yield Message(kind, self.last_id, json.loads(data))
            elif line.startswith(":"):
                self.comments += 1
            else:
                self._field(*line.split(": ", 1))

    def _field(self, name: str, value: str) -> None:
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._kind = value
            case "id":
                self.last_id = value
            case "retry":
                self.retry = int(value)
            case _:
                raise AssertionError(f"{name!r} is no field")


@dataclass
class EventSource:
    """Asks with the last id, again and again, as a browser does."""

    fetch: Callable[[str], Response]
    last_id: str = ""
    responses: int = 0

    def __iter__(self) -> Iterator[Message]:
        """The messages, until a response says that there is nothing to come back for."""
        while True:
            response = self.fetch(self.last_id)
            self.responses += 1
            if response.status == 204:
                return
            assert response.status == 200, response
            parser = Parser()
            parser.last_id = self.last_id
            messages = list(parser.feed(response.text))
            assert parser.retry, "it says when to come back"
            self.last_id = parser.last_id
            yield from messages


def values(messages: Iterable[Message]) -> list[Any]:
    """What stands when all is read: what a reset makes void is left out."""
    standing: list[tuple[int, str | None, Any]] = []
    for message in messages:
        if message.kind == "reset":
            reset = message.data
            standing = [one for one in standing if one[1] != reset["step_id"] or one[0] < reset["since"]]
        elif message.kind == "message":
            standing.append((message.data["offset"], message.data["step_id"], message.data["value"]))
    return [value for _, _, value in standing]
