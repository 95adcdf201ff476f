"""The company's mail, as far as the example needs it: an outbox in memory."""

import asyncio
from typing import NamedTuple


class Mail(NamedTuple):
    to: str
    text: str
    link: str | None


class Outbox:
    def __init__(self) -> None:
        self.sent: list[Mail] = []

    async def send(self, to: str, text: str, link: str | None) -> None:
        await asyncio.sleep(0)
        self.sent.append(Mail(to, text, link))


outbox = Outbox()
